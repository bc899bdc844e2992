"""Unsigned tokens."""

from __future__ import annotations

import base64
import json
import time


def token(audience: str, seconds: int = 86400, client: str = "") -> str:
    """Return an unsigned token for a service."""
    now = int(time.time())
    claims = {"aud": audience.rstrip("/"), "iss": "https://sts.windows.net/t/", "appid": client}
    claims |= {"iat": now, "nbf": now, "exp": now + seconds}  # type: ignore[dict-item]
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])


def audience(bearer: str) -> str:
    """Return the service that a token is for."""
    part = bearer.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return str(claims["aud"])
