"""Azurite, Microsoft's own stand-in for Azure Storage: installed from npm into a cache, run with TLS on loopback."""

from __future__ import annotations

import base64
import datetime
import fcntl
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx
import pytest

from .processes import free_port, wait_until_up

VERSION = "3.37.0"
ACCOUNT = "stgaitwaytest"
HOST = f"{ACCOUNT}.blob.core.windows.net"
AZURE_HOSTS = ("management.azure.com", "login.microsoftonline.com", "eastus.api.azureml.ms")
"""Names of Azure's other hosts, whose stand-ins use the same certificate."""
KEY = base64.b64encode(b"a key that opens nothing but tests, long enough for azurite").decode()


@dataclass(frozen=True)
class Azurite:
    """A running Azurite: reached as ``https://{HOST}`` through a proxy that leads to ``port``."""

    port: int
    authority: Path
    """PEM file of the certificate authority it is to be trusted by."""

    def put(self, path: str, content: bytes, *, metadata: dict[str, str] | None = None, public: bool = False) -> str:
        """Store a blob (and make its container) and return its URL, without anything that opens it."""
        container = path.partition("/")[0]
        access = {"x-ms-blob-public-access": "blob"} if public else {}
        with httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}", verify=False, timeout=120, trust_env=False
        ) as client:
            made = client.put(f"/{container}?restype=container&{self.sas()}", headers={"Host": HOST, **access})
            assert made.status_code in (201, 409), made.text
            headers = {"Host": HOST, "x-ms-blob-type": "BlockBlob"}
            headers |= {f"x-ms-meta-{name}": value for name, value in (metadata or {}).items()}
            done = client.put(f"/{quote(path)}?{self.sas()}", content=content, headers=headers)
            assert done.status_code == 201, done.text
        return f"https://{HOST}/{quote(path)}"

    def sas(self, permissions: str = "rwdlac", hours: float = 1.0) -> str:
        """Return an account SAS."""
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=hours)
        expiry = until.strftime("%Y-%m-%dT%H:%M:%SZ")
        fields = [ACCOUNT, permissions, "b", "sco", "", expiry, "", "https", "2020-12-06", "", ""]
        signed = hmac.new(base64.b64decode(KEY), "\n".join(fields).encode(), hashlib.sha256).digest()
        values = {"sv": "2020-12-06", "ss": "b", "srt": "sco", "sp": permissions, "se": expiry, "spr": "https"}
        return urlencode({**values, "sig": base64.b64encode(signed).decode()})


def entra_token() -> str:
    """Return an unsigned token of the form that Azurite's basic OAuth accepts."""
    now = int(time.time())
    claims = {
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000001/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
    }
    parts = [{"alg": "none", "typ": "JWT"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2ln"])


@contextmanager
def running(folder: Path) -> Iterator[Azurite]:
    """Run Azurite with its data in ``folder``; skip the test where there is no Node.js."""
    program = _install()
    certificate, key, authority = _certificates(folder)
    port = free_port()
    command = [str(program), "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--oauth", "basic"]
    command += ["--location", str(folder / "data"), "--blobPort", str(port), "--blobHost", "127.0.0.1"]
    command += ["--cert", str(certificate), "--key", str(key)]
    environment = {**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}
    with (folder / "azurite.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until_up(f"https://127.0.0.1:{port}", process, folder / "azurite.log")
        yield Azurite(port, authority)
    finally:
        process.terminate()
        process.wait(10)


def _install() -> Path:
    """Return Azurite's program, installed once into the user's cache."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip(
            "blob storage is tested with Azurite, which needs Node.js and npm; neither test nor code is at fault"
        )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gaitway-tests"
    folder = cache / f"azurite-{VERSION}"
    program = folder / "node_modules" / ".bin" / "azurite-blob"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"azurite-{VERSION}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes beside this one wait for the one installation
        if not program.exists():
            partial = cache / f".azurite-{VERSION}"
            command = ["npm", "install", "--prefix", str(partial), f"azurite@{VERSION}", "--no-audit", "--no-fund"]
            subprocess.run([*command, "--silent", "--omit=optional"], check=True, timeout=300)
            partial.rename(folder)
    return program


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Make an authority of our own and a server certificate by it; return certificate, key and authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def build(subject: str, key: ec.EllipticCurvePrivateKey, names: list[str]) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name("gaitway tests"))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=7))
        if names:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(item) for item in names])
            return builder.add_extension(alternatives, critical=False)
        return builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)

    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = build("gaitway tests", root, []).sign(root, hashes.SHA256())
    certificate = build(HOST, leaf, [HOST, "localhost", *AZURE_HOSTS]).sign(root, hashes.SHA256())
    paths = folder / "server.pem", folder / "server.key", folder / "authority.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[1].write_bytes(leaf.private_bytes(serialization.Encoding.PEM, *private))
    paths[2].write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    return paths
