"""Signatures of release folders by OpenSSF model signing: a key pair, a certificate, or Sigstore."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitway_runtime.spec.packages import missing_package

from ..errors import GaitwayError, UsageError
from .manifest import SIGNATURE_FILE

PASSWORD_VARIABLE = "GAITWAY_SIGNING_PASSWORD"
"""Environment variable with the password of an encrypted private key."""


class SignatureRefused(GaitwayError):
    """A release whose signature does not hold."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class Signer:
    """Who signs. Exactly one of the three ways is used."""

    private_key: Path | None = None
    """PEM of an elliptic-curve key (P-256, P-384 or P-521)."""
    password: str | None = None
    certificate: Path | None = None
    """PEM certificate of ``private_key``; signing is then by certificate."""
    certificate_chain: tuple[Path, ...] = ()
    sigstore: bool = False
    """Sign with the identity of the person or CI job, through Sigstore's public services."""
    identity_token: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """Whose signature is accepted."""

    public_key: Path | None = None
    certificate_chain: tuple[Path, ...] = ()
    identity: str | None = None
    """Sigstore identity, for example an e-mail address or a workflow's URL."""
    issuer: str | None = None

    @property
    def given(self) -> bool:
        """Whether any way of verifying was named."""
        return bool(self.public_key or self.certificate_chain or self.identity)


def sign(folder: Path, signer: Signer) -> Path:
    """Sign every file of a folder and return the signature's path, which lies in the folder.

    Raises:
        UsageError: The key cannot be read or is of a kind that cannot sign.
        ConfigError: The signing library is not installed.
    """
    signing, hashing = _library("signing"), _library("hashing")
    signature = folder / SIGNATURE_FILE
    config = signing.Config()
    with _explained(str(signer.private_key or "Sigstore")):
        if signer.sigstore:
            config.use_sigstore_signer(
                use_ambient_credentials=signer.identity_token is None, identity_token=signer.identity_token
            )
        elif signer.certificate:
            config.use_certificate_signer(
                private_key=_existing(signer.private_key, "--key"),
                signing_certificate=_existing(signer.certificate, "--certificate"),
                certificate_chain=signer.certificate_chain,
            )
        else:
            password = signer.password.encode() if signer.password else None  # the library wants bytes here
            config.use_elliptic_key_signer(private_key=_existing(signer.private_key, "--key"), password=password)
        rules = hashing.Config().set_ignored_paths(paths=[signature], ignore_git_paths=False)
        config.set_hashing_config(rules).sign(folder, signature)
    return signature


def check_signature(folder: Path, verifier: Verifier) -> None:
    """Check a release folder's signature.

    Raises:
        SignatureRefused: There is none, it is of another key, or a file is not the one that was signed.
        UsageError: The public key or certificate cannot be read.
        ConfigError: The signing library is not installed.
    """
    verifying = _library("verifying")
    signature = folder / SIGNATURE_FILE
    if not signature.is_file() or signature.is_symlink():
        raise SignatureRefused(f"the release is not signed: it has no {SIGNATURE_FILE}", source=str(folder))
    config = verifying.Config()
    if verifier.public_key:
        _check_public_key(_existing(verifier.public_key, "--key"))
        config.use_elliptic_key_verifier(public_key=verifier.public_key)
    elif verifier.certificate_chain:
        config.use_certificate_verifier(certificate_chain=verifier.certificate_chain)
    else:
        if not verifier.issuer:
            raise UsageError(
                "a Sigstore identity is accepted of one issuer alone", source="--identity", hint="--issuer"
            )
        config.use_sigstore_verifier(identity=verifier.identity, oidc_issuer=verifier.issuer)
    from cryptography.exceptions import InvalidSignature
    from sigstore.errors import Error as SigstoreError

    of_python = (ValueError, TypeError, LookupError, AttributeError, OSError, RuntimeError)
    try:
        config.verify(folder, signature)
    except (InvalidSignature, SigstoreError, *of_python) as error:  # whatever its parsers raise
        reason = " ".join(str(error).split()) or "the signature does not match its content"
        raise SignatureRefused(f"the release's signature does not hold: {reason}", source=str(signature)) from error


def _check_public_key(path: Path) -> None:
    """Refuse a key file that cannot verify, before anything is said of the release.

    Raises:
        UsageError: It is no public key, or of a curve that model signing does not use.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError:
        raise UsageError(
            f"{path.name} is not a public key in PEM form", source=str(path), hint="openssl ec -in key.pem -pubout"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _wrong_kind(path)


def _wrong_kind(path: Path | None) -> UsageError:
    return UsageError(
        "this kind of key cannot sign a release",
        source=str(path),
        allowed="an elliptic-curve key: P-256, P-384 or P-521",
        hint="openssl ecparam -name prime256v1 -genkey -noout -out key.pem",
    )


@contextmanager
def _explained(source: str) -> Iterator[None]:
    """Turn what the signing library raises for a bad key into an error of ours."""
    try:
        yield
    except AttributeError as error:
        if "curve" in str(error):  # RSA and Ed25519 keys have none
            raise _wrong_kind(Path(source)) from None
        raise
    except (ValueError, TypeError) as error:
        text = str(error)
        if "Unsupported key" in text:
            raise _wrong_kind(Path(source)) from None
        reason = "its password is missing or wrong" if "assword" in text or "decrypt" in text else text
        hint = f"set {PASSWORD_VARIABLE}" if "assword" in reason else None
        raise UsageError(f"the private key cannot be used: {reason}", source=source, hint=hint) from None


def _existing(path: Path | None, flag: str) -> Path:
    if path is None:
        raise UsageError("a key is needed to sign", source=flag, allowed="--key FILE, --certificate FILE or --sigstore")
    if not path.is_file():
        raise UsageError(f"there is no file {path}", source=flag)
    return path


def _library(name: str) -> Any:
    """Import a module of ``model_signing``.

    Raises:
        ConfigError: It is not installed.
    """
    import importlib

    try:
        return importlib.import_module(f"model_signing.{name}")
    except ModuleNotFoundError as error:
        raise missing_package("signing", error, "release") from None
