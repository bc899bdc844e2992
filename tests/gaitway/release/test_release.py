"""Releases: made from real runs of a policy that balances the cartpole, verified, and tampered with."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.linear_policy import write_checkpoint

from gaitway.cli.main import main

ROOT = Path(__file__).resolve().parents[3]
SAMPLE = ROOT / "samples" / "anymal-c-flat" / "model_194.pt"
"""A policy of which there is no release."""
TASK = "Isaac-Cartpole-v0"


def keys(folder: Path, curve: str = "prime256v1") -> tuple[Path, Path]:
    private, public = folder / "key.pem", folder / "public.pem"
    subprocess.run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out", private], check=True)
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A home with an inference and a validation of a policy, and a signed release of it."""
    folder = tmp_path_factory.mktemp("release")
    private, public = keys(folder)
    environ = {
        "PATH": "/usr/bin:/bin",
        "GAITWAY_HOME": str(folder / "home"),
        "OMP_NUM_THREADS": "1",
        "HOME": str(folder),
    }

    def gaitway(*words: str) -> Any:
        command = [sys.executable, "-m", "gaitway", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environ, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    checkpoint = write_checkpoint(folder / "model_7.pt")
    policy = ("--task", TASK, "--checkpoint-uri", str(checkpoint), "--yes")
    gaitway("infer", *policy, "--max-steps", "20", "--video-length", "0", "--name", "exported")
    gaitway("validate", *policy, "--eval-episodes", "8", "--name", "judged")
    target = folder / "release"
    document = gaitway(
        "release", "exported", "--key", str(private), "-o", str(target), "--push", f"oci://{folder}/oci:v1"
    )
    assert document["signed"] and document["checkpoint_sha256"]
    return {"folder": folder, "home": folder / "home", "release": target, "private": private, "public": public}


@pytest.fixture
def copy(made: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the release that a test may spoil."""
    shutil.copytree(made["release"], tmp_path / "release", symlinks=True)
    return tmp_path / "release"


@pytest.fixture
def verify(made: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Verify a release with the key it was signed by, and return exit code and output."""

    def run(place: Path, *more: str) -> tuple[int, str]:
        code = main(["verify", str(place), "--key", str(made["public"]), *more])
        out = capsys.readouterr()
        return code, out.out + out.err

    return run


@pytest.mark.slow
def test_a_release_verifies_and_its_exports_equal_the_checkpoint(
    made: dict[str, Path], verify: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A release comes from elsewhere: its exports run in a confined process, never in this one.
    for opener in ("onnxruntime.InferenceSession", "torch.jit.load"):
        monkeypatch.setattr(opener, None)
    code, text = verify(made["release"], "--parity")
    assert code == 0, text
    assert "signature   valid" in text
    assert "exports equal" in text
    names = {path.relative_to(made["release"]).as_posix() for path in made["release"].rglob("*") if path.is_file()}
    assert {
        "exported/policy.onnx",
        "exported/policy.pt",
        "exported/contract.json",
        "verdict.json",
        "parity.json",
    } <= names
    assert {"provenance.json", "sbom.cdx.json", "release.json", "release.sig", "checkpoint/model_7.pt"} <= names
    provenance = json.loads((made["release"] / "provenance.json").read_text())
    assert provenance["runs"]["inference"]["commit"]
    assert provenance["runs"]["validation"]["settings"]["seed"]["origin"] == "default"
    bill = json.loads((made["release"] / "sbom.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert any(part["name"] == "mujoco" and part["purl"].startswith("pkg:pypi/mujoco@") for part in bill["components"])


@pytest.mark.parametrize("name", ["exported/policy.onnx", "verdict.json", "release.json", "release.sig", "report.html"])
def test_a_flipped_byte_is_refused(copy: Path, verify: Any, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    code, text = verify(copy)
    assert code != 0
    assert name in text


def test_a_missing_an_added_and_a_linked_file_are_named(copy: Path, verify: Any) -> None:
    (copy / "parity.json").rename(copy / "other.json")
    code, text = verify(copy)
    assert (code, "other.json" in text) == (1, True)
    (copy / "other.json").unlink()
    code, text = verify(copy)
    assert (code, "parity.json is missing" in text) == (1, True)
    (copy / "parity.json").symlink_to("/etc/hostname")
    code, text = verify(copy)
    assert (code, "parity.json is a link" in text) == (1, True)


def test_a_hidden_git_file_is_an_added_file(copy: Path, verify: Any) -> None:
    (copy / ".gitattributes").write_text("* text\n")
    code, text = verify(copy)
    assert (code, ".gitattributes" in text) == (1, True)


def test_a_verdict_of_another_policy_is_refused_though_hash_and_signature_fit(
    copy: Path, verify: Any, made: dict[str, Path]
) -> None:
    from gaitway.signatures import manifest
    from gaitway.signatures.signing import Signer, sign

    verdict = json.loads((copy / "verdict.json").read_text())
    (copy / "verdict.json").write_text(json.dumps({**verdict, "checkpoint_sha256": "0" * 64}))
    document = json.loads((copy / "release.json").read_text())
    entry = manifest.describe(copy, "verdict.json", manifest.VERDICT)
    for file in document["files"]:
        if file["path"] == "verdict.json":
            file.update(sha256=entry.sha256, size=entry.size)
    (copy / "release.json").write_text(json.dumps(document))
    (copy / "release.sig").unlink()
    sign(copy, Signer(private_key=made["private"]))
    code, text = verify(copy)
    assert (code, "verdict.json belongs to another policy" in text) == (1, True)


def test_another_key_is_refused(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, public = keys(tmp_path)
    assert main(["verify", str(copy), "--key", str(public)]) == 1
    assert "signature does not hold" in capsys.readouterr().err


def test_a_key_that_cannot_sign_is_named(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", tmp_path / "ed.pem"], check=True)
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "ed.pem", "-pubout", "-out", tmp_path / "pub.pem"], check=True)
    assert main(["verify", str(copy), "--key", str(tmp_path / "pub.pem")]) == 2
    assert "elliptic-curve" in capsys.readouterr().err


def test_nobody_named_whose_signature_is_accepted(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(copy)]) == 2
    assert "--unsigned checks everything but the signature" in capsys.readouterr().err


def test_archives_verify_and_hostile_ones_do_not(copy: Path, verify: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "release.zip", "w") as bundle:
        for path in sorted(copy.rglob("*")):
            if path.is_file():
                bundle.write(path, path.relative_to(copy))
    assert verify(tmp_path / "release.zip")[0] == 0
    with tarfile.open(tmp_path / "release.tar.gz", "w:gz") as bundle:
        bundle.add(copy, "release")
    assert verify(tmp_path / "release.tar.gz")[0] == 0
    with tarfile.open(tmp_path / "links.tar", "w") as bundle:
        (copy / "exported" / "extra").symlink_to("/etc")
        bundle.add(copy, "release")
    code, text = verify(tmp_path / "links.tar")
    assert (code, "is a link" in text) == (2, True)


def test_a_pushed_release_lies_in_an_oci_layout(made: dict[str, Path]) -> None:
    layout = made["folder"] / "oci"
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "v1"
    blob = layout / "blobs" / "sha256" / entry["digest"].partition(":")[2]
    layers = json.loads(blob.read_text())["layers"]
    titles = {layer["annotations"]["org.opencontainers.image.title"] for layer in layers}
    assert {"release.json", "release.sig", "exported/policy.onnx"} <= titles


def test_a_policy_that_nobody_judged_is_not_released(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    shutil.copytree(made["home"], home)
    shutil.rmtree(home / "runs" / "judged")
    monkeypatch.setenv("GAITWAY_HOME", str(home))
    assert main(["release", "exported", "--unsigned", "-o", str(tmp_path / "r")]) == 2
    text = capsys.readouterr().err
    assert "has judged the checkpoint" in text
    assert f"gaitway validate --task {TASK}" in text
    assert not list(tmp_path.glob("*r*/release.json"))


def test_a_job_can_demand_a_signed_checkpoint(
    made: dict[str, Path], copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, key = copy / "checkpoint" / "model_7.pt", str(made["public"])
    words = ("--task", TASK, "--training-path", str(ROOT / "src" / "training"), "--dry-run", "--json")
    assert main(["validate", *words, "--checkpoint-uri", str(checkpoint), "--require-signed", key]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["plan"]["settings"]["checkpoint_sha256"]["value"]
    assert main(["validate", *words, "--checkpoint-uri", str(SAMPLE), "--require-signed", key]) == 2
    assert "lies in no release" in capsys.readouterr().err
    (copy / "verdict.json").write_text("{}")
    assert main(["infer", *words, "--checkpoint-uri", str(checkpoint), "--require-signed", key]) == 1
    assert "verdict.json was changed" in capsys.readouterr().err


def test_an_exam_can_demand_a_signed_policy(
    made: dict[str, Path], copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy, words = copy / "exported" / "policy.onnx", ("--robot", "spot", "--require-signed", str(made["public"]))
    assert main(["exam", str(policy), *words]) == 2
    assert "no robot of that name" in capsys.readouterr().err  # the signature is well, the next thing is not
    assert main(["exam", str(SAMPLE), *words]) == 2
    assert "lies in no release" in capsys.readouterr().err
    policy.write_bytes(policy.read_bytes() + b" ")
    assert main(["exam", str(policy), *words]) == 1
    assert "exported/policy.onnx was changed" in capsys.readouterr().err
