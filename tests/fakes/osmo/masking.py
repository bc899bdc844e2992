"""What the service makes unreadable in a spec before it keeps it: values after names that sound secret."""

from __future__ import annotations

import base64
import re

SECRET = re.compile(
    r"(?i)(?:access|auth|(?-i:[Aa]pi|API)|creds?|credential|key|passwd|password|secret|token)[\w.\- \t]{0,20}"
    r"[\s'\"]{0,3}(?:[=:,>]|\|\||:=)[\s'\"=`]{0,5}([\w.=\-]{10,150}|[a-z0-9][a-z0-9+/]{11,}={0,3})(?=[\s'\"`;]|\\[nr]|$)"
)
ENCODED = re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{16,}={0,2}(?![A-Za-z0-9+/=])")
MASK = "[MASKED]"


def masked(text: str) -> str:
    """Return a text in which secrets are masked: in plain, and a base64 word whole that hides one in UTF-8 text."""
    return _plain(ENCODED.sub(lambda found: MASK if _hides_a_secret(found[0]) else found[0], text))


def _plain(text: str) -> str:
    return SECRET.sub(lambda found: found[0].replace(found[1], MASK), text)


def _hides_a_secret(word: str) -> bool:
    try:
        decoded = base64.b64decode(word + "=" * (-len(word) % 4), validate=True).decode()
    except ValueError:
        return False
    return SECRET.search(decoded) is not None
