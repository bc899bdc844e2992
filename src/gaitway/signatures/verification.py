"""Verification of release folders: files, signature, whose verdict it is, and parity on request."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gaitway_runtime.spec.checkpoint_files import sha256_of
from gaitway_runtime.spec.contract import PolicyContract
from gaitway_runtime.spec.packages import missing_package

from ..errors import UsageError
from . import manifest as manifests
from .archive import unpacked
from .manifest import MANIFEST_FILE, SIGNATURE_FILE, Manifest, ReleasedFile
from .signing import SignatureRefused, Verifier, check_signature

if TYPE_CHECKING:
    from gaitway_runtime.policies.confined.policy_file import PolicyFile


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A release that was verified."""

    folder: str
    manifest: Manifest
    signature: str
    """``valid``, or ``not checked``."""
    parity: float | None = None
    """Largest difference between the exports and the checkpoint, where it was measured."""

    @property
    def checkpoint(self) -> ReleasedFile:
        """The released checkpoint."""
        return self.manifest.with_role(manifests.CHECKPOINT)[0]


@contextmanager
def opened(place: Path) -> Iterator[Path]:
    """Give the release folder at a path: the folder itself, or an archive of one, unpacked for the time being.

    Raises:
        UsageError: There is nothing of that kind, or the archive is not acceptable.
    """
    if place.is_dir():
        yield place
        return
    if not place.is_file():
        raise UsageError(f"there is no release {place}", source="RELEASE")
    with tempfile.TemporaryDirectory(prefix="gaitway-") as scratch:
        yield unpacked(place, Path(scratch) / "release")


def verify_release(folder: Path, verifier: Verifier, *, unsigned: bool = False, parity: bool = False) -> Verified:
    """Verify a release folder.

    Args:
        folder: The folder.
        verifier: Whose signature is accepted.
        unsigned: Accept a release without checking its signature; everything else is checked.
        parity: Measure again that the exports compute what the checkpoint computes.

    Raises:
        SignatureRefused: The signature does not hold, a file was changed, added or removed, or a document belongs to
            another policy; the error names the file.
        UsageError: It is no release, or nobody was named whose signature is accepted.
    """
    if not verifier.given and not unsigned:
        raise UsageError(
            "whose signature is accepted was not said",
            source="--key",
            allowed="--key PUBLIC.pem, --certificate-chain FILE, --identity WHO --issuer URL",
            hint="--unsigned checks everything but the signature",
        )
    contents = manifests.read(folder)
    try:
        _check_files(folder, contents)
    except SignatureRefused:
        if verifier.given and _is_forged(folder, verifier):
            raise _refused(f"{MANIFEST_FILE} was changed", folder) from None
        raise
    if verifier.given:
        check_signature(folder, verifier)
    _check_ownership(folder, contents)
    return Verified(
        folder=str(folder),
        manifest=contents,
        signature="valid" if verifier.given else "not checked",
        parity=_measured_parity(folder, contents) if parity else None,
    )


def _is_forged(folder: Path, verifier: Verifier) -> bool:
    """Whether the manifest itself is not the one that was signed: then nothing that it says of files counts."""
    try:
        check_signature(folder, verifier)
    except SignatureRefused as refused:
        return MANIFEST_FILE in refused.message
    return False


def verify_member(path: Path, public_key: Path, source: str) -> ReleasedFile:
    """Verify the release in which a file lies, and return its entry.

    Args:
        path: A file of a release folder.
        public_key: Whose signature is accepted.
        source: Where the key was named, for errors.

    Raises:
        UsageError: The file lies in no release.
        SignatureRefused: The release does not verify.
    """
    folder = next((parent for parent in path.resolve().parents if (parent / MANIFEST_FILE).is_file()), None)
    if folder is None or not path.is_file():
        raise UsageError(
            f"{path} lies in no release, and a signature is required",
            source=source,
            allowed="a file of a folder that gaitway release made",
            hint="gaitway release RUN --key KEY.pem, then name RELEASE/checkpoint/FILE.pt",
        )
    found = verify_release(folder, Verifier(public_key=public_key))
    inside = path.resolve().relative_to(folder).as_posix()
    entry = next((file for file in found.manifest.files if file.path == inside), None)
    if entry is None:
        raise _refused(f"{inside} is not part of the release", folder)
    return entry


def _check_files(folder: Path, contents: Manifest) -> None:
    """Check that the folder holds exactly the files of its manifest.

    Raises:
        SignatureRefused: A file is missing, was added or changed, or is no plain file.
    """
    listed = {file.path: file for file in contents.files}
    found = dict(manifests.entries(folder))
    for path, plain in sorted(found.items()):
        if not plain:
            raise _refused(f"{path} is a link or a special file", folder)
        if path not in listed and path not in (MANIFEST_FILE, SIGNATURE_FILE):
            raise _refused(f"{path} is not part of the release: it was added", folder)
    for path, file in sorted(listed.items()):
        if path not in found:
            raise _refused(f"{path} is missing", folder)
        if sha256_of(folder / path) != file.sha256:
            raise _refused(f"{path} was changed", folder)
    for role in (manifests.CHECKPOINT, manifests.EXPORT, manifests.CONTRACT, manifests.VERDICT, manifests.PROVENANCE):
        if not contents.with_role(role):
            raise _refused(f"it has no {role}", folder)


def _check_ownership(folder: Path, contents: Manifest) -> None:
    """Check that verdict, parity, contract and exports are all of the released checkpoint.

    Raises:
        SignatureRefused: One is of another policy.
    """
    wanted = contents.checkpoint_sha256
    for file in contents.with_role(manifests.CHECKPOINT):
        if file.sha256 != wanted:
            raise _refused(f"{file.path} is not the checkpoint of this release", folder)
    for role in (manifests.VERDICT, manifests.PARITY):
        for file in contents.with_role(role):
            document = _json(folder / file.path)
            if document.get("checkpoint_sha256") != wanted:
                raise _refused(f"{file.path} belongs to another policy", folder)
            if role == manifests.VERDICT and document.get("gate") != "met":
                raise _refused(f"{file.path} says that the gate was not met", folder)
    for name, source in _contracts(folder, contents):
        if source != wanted:
            raise _refused(f"{name} belongs to another policy", folder)


def _contracts(folder: Path, contents: Manifest) -> Iterator[tuple[str, object]]:
    """Yield each contract of the release, inside an export or beside it, with the checkpoint's hash it names."""
    for file in contents.with_role(manifests.CONTRACT):
        yield file.path, _source_sha256(_json(folder / file.path))
    for file in contents.with_role(manifests.EXPORT):
        if file.path.endswith(".onnx"):
            yield file.path, _source_sha256(_onnx_contract(folder / file.path))


def _source_sha256(contract: dict[str, object]) -> object:
    source = contract.get("source")
    return source.get("checkpoint_sha256") if isinstance(source, dict) else None


def _onnx_contract(path: Path) -> dict[str, object]:
    """Return the contract inside an ONNX file; nothing of the file runs."""
    try:
        from gaitway_runtime.policies.confined.policy_file import inspect
    except ModuleNotFoundError as error:
        raise missing_package("verifying", error, "local", "release") from None
    text = inspect(path).contract
    found: dict[str, object] = json.loads(PolicyContract.from_json(text, str(path)).to_json()) if text else {}
    return found


def _json(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise SignatureRefused(f"{path.name} is not a JSON object", source=str(path))
    return document


def _measured_parity(folder: Path, contents: Manifest) -> float:
    """Compare the exports with the checkpoint on observations drawn from its statistics; return the largest error.

    The checkpoint is rebuilt from its weights; the exports run confined, because a release comes from elsewhere.

    Raises:
        JobFailed: They differ.
        UsageError: An export asks for what is not given, or cannot be run.
    """
    try:
        from gaitway_runtime.policies.confined.policy_file import opened
        from gaitway_runtime.policies.parity import measure, observations_from_statistics
        from gaitway_runtime.policies.reader import read_checkpoint
    except ModuleNotFoundError as error:
        raise missing_package("measuring parity", error, "local") from None
    policy = read_checkpoint(folder / contents.with_role(manifests.CHECKPOINT)[0].path)
    exports = [folder / file.path for file in contents.with_role(manifests.EXPORT)]
    with ExitStack() as stack:
        sessions = {
            path.name: stack.enter_context(opened(_export_file(path)))
            for path in exports
            if path.suffix in (".onnx", ".pt")
        }
        report = measure(policy, sessions, observations_from_statistics(policy), source="drawn")
    report.require()
    return float(report.as_dict()["max_abs_error"])


def _export_file(path: Path) -> PolicyFile:
    """Look into an export; weights alone in its place would equal the checkpoint and run on no robot."""
    from gaitway_runtime.policies.confined.policy_file import inspect

    file = inspect(path)
    if file.kind == "checkpoint":
        raise UsageError("this is not an exported policy", source=str(path), allowed="ONNX, TorchScript")
    return file


def _refused(reason: str, folder: Path) -> SignatureRefused:
    return SignatureRefused(f"the release does not verify: {reason}", source=str(folder))
