"""Builder of release folders: collects what the runs left, describes it, signs it, and puts it in place whole."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from gaitway_runtime.spec.packages import missing_package
from gaitway_runtime.spec.result import write_json
from gaitway_runtime.spec.types import JsonObject

from .. import __version__
from ..errors import UsageError
from ..ledger import read_document
from ..run_handle import Run
from ..signatures import manifest as manifests
from ..signatures.manifest import Manifest, ReleasedFile
from ..signatures.signing import Signer, sign
from .sbom import write_sbom
from .sources import ReleaseSources

ROLE_OF = (
    ("exported/contract.json", manifests.CONTRACT),
    ("exported/*", manifests.EXPORT),
    ("videos/**/*.mp4", manifests.FILM),
    ("report.html", manifests.REPORT),
    ("card.json", manifests.CARD),
    ("card.html", manifests.CARD),
    ("drive.html", manifests.REPORT),
)
"""Outputs of an inference that a release takes, by pattern, first match first."""

SETTINGS_OF = ("kind", "task", "platform")


@dataclass(frozen=True, kw_only=True)
class Release:
    """A release folder that was made."""

    folder: Path
    manifest: Manifest
    signed: bool


def build_release(sources: ReleaseSources, target: Path, *, name: str, signer: Signer | None) -> Release:
    """Make a release folder.

    Args:
        sources: The runs to take it from.
        target: Folder to make; it must not exist yet.
        name: Name of the release.
        signer: Who signs it; None leaves it unsigned.

    Raises:
        UsageError: The folder exists, or an output of a run is not there any more or is not of this checkpoint.
        GaitwayError: A run's outputs cannot be fetched, or the key cannot sign. Nothing is left behind.
    """
    if target.exists():
        raise UsageError(f"the folder {target} exists", source="--output", hint="name another, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        files = [*_outputs(sources, stage), *_documents(sources, stage)]
        write_sbom(stage / "sbom.cdx.json", name=name, files=tuple(files), versions=_versions(sources))
        files.append(manifests.describe(stage, "sbom.cdx.json", manifests.SBOM))
        contents = Manifest(
            name=name,
            task=sources.inference.record.task,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            checkpoint_sha256=sources.checkpoint_sha256,
            files=tuple(sorted(files, key=lambda file: file.path)),
        )
        manifests.write(contents, stage)
        if signer:
            sign(stage, signer)
        stage.chmod(0o755)
        stage.rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return Release(folder=target, manifest=contents, signed=signer is not None)


def _outputs(sources: ReleaseSources, stage: Path) -> Iterator[ReleasedFile]:
    """Copy the exports, films and reports of the inference, the validation's report, and the checkpoint."""
    with tempfile.TemporaryDirectory(prefix="gaitway-") as folder:
        fetched = Path(folder)
        sources.inference.fetch(fetched, "*")
        taken: set[Path] = set()
        for pattern, role in ROLE_OF:
            for path in sorted(fetched.glob(pattern)):
                if path.is_file() and path not in taken:
                    taken.add(path)
                    yield _add(path, stage, path.relative_to(fetched).as_posix(), role)
    with tempfile.TemporaryDirectory(prefix="gaitway-") as folder:
        for path in sources.validation.fetch(Path(folder), "report.html"):
            yield _add(path, stage, "validation.html", manifests.REPORT)
    yield _checkpoint(sources, stage)


def _checkpoint(sources: ReleaseSources, stage: Path) -> ReleasedFile:
    """Copy the checkpoint itself, and make sure that it is the one that was judged."""
    from ..checkpoints import references  # knows every kind of address, which most commands do without

    try:
        from gaitway_runtime.fetch import fetch
    except ModuleNotFoundError as error:
        raise missing_package("a release", error, "local", "release") from None
    address = references.resolve(sources.checkpoint_uri, sources.inference.ledger)
    with tempfile.TemporaryDirectory(prefix="gaitway-") as folder:
        fetched = fetch(address, Path(folder), expected_sha256=sources.checkpoint_sha256)
        name = f"checkpoint/{fetched.path.name}"
        added = _add(fetched.path, stage, name, manifests.CHECKPOINT)
    if added.sha256 != sources.checkpoint_sha256:
        raise UsageError(
            "the checkpoint at this address is not the one that was exported and judged any more",
            source=sources.checkpoint_uri,
        )
    return added


def _documents(sources: ReleaseSources, stage: Path) -> Iterator[ReleasedFile]:
    """Write verdict, parity and provenance."""
    inference, validation = _result(sources.inference), _result(sources.validation)
    formats = inference.get("metrics")
    parity = {name: found.get("parity") for name, found in formats.items()} if isinstance(formats, dict) else {}
    documents = {
        ("verdict.json", manifests.VERDICT): {
            "gate": "met",
            "exports_equal": True,
            "task": sources.validation.record.task,
            "checkpoint_sha256": sources.checkpoint_sha256,
            "run": sources.validation.name,
            "simulator": validation.get("simulator"),
            "validation": validation.get("metrics"),
        },
        ("parity.json", manifests.PARITY): {
            "checkpoint_sha256": sources.checkpoint_sha256,
            "run": sources.inference.name,
            "formats": parity,
        },
        ("provenance.json", manifests.PROVENANCE): _provenance(sources),
    }
    for (name, role), document in documents.items():
        write_json(document, stage / name)
        yield manifests.describe(stage, name, role)


def _provenance(sources: ReleaseSources) -> JsonObject:
    """Return where the policy comes from: code, settings and versions of each run."""
    runs = {"training": sources.training, "inference": sources.inference, "validation": sources.validation}
    return {
        "checkpoint": {"uri": sources.checkpoint_uri, "sha256": sources.checkpoint_sha256},
        "released_by": f"gaitway {__version__}",
        "runs": {name: _origin_of(run) for name, run in runs.items() if run},
        "versions": _versions(sources),
    }


def _origin_of(run: Run) -> JsonObject:
    payload = read_document(run.run_dir, "payload.json") or {}
    return {
        "run": run.name,
        **{name: getattr(run.record, name) for name in SETTINGS_OF},
        "created": run.record.created,
        "command": list(run.record.command),
        "payload_sha256": run.record.payload_sha256,
        "commit": payload.get("commit"),
        "changed_files": payload.get("dirty", []),
        "settings": read_document(run.run_dir, "settings.json") or {},
        "mlflow_run_id": _result(run).get("mlflow_run_id"),
    }


def _versions(sources: ReleaseSources) -> dict[str, str]:
    """Return the versions of the libraries that exported and judged the policy."""
    found: dict[str, str] = {}
    inference = _result(sources.inference).get("metrics")
    documents = [_result(sources.validation).get("metrics")]
    documents += list(inference.values()) if isinstance(inference, dict) else []
    for document in documents:
        versions = document.get("versions") if isinstance(document, dict) else None
        found |= {str(name): str(version) for name, version in versions.items()} if isinstance(versions, dict) else {}
    return found


def _result(run: Run) -> JsonObject:
    result = run.status().result
    return dataclasses.asdict(result) if result else {}


def _add(source: Path, stage: Path, name: str, role: str) -> ReleasedFile:
    target = stage / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return manifests.describe(stage, name, role)
