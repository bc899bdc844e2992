"""The recipe "Add an export format" of CONTRIBUTING, carried out."""

import json
from pathlib import Path

from .conftest import ROOT, Environment

CHECKPOINT = ROOT / "tests" / "fixtures" / "checkpoints" / "rsl_rl-5.5.1-normalized" / "model.pt"
SAMPLE = ROOT / "samples" / "anymal-c-flat" / "model_194.pt"

POCKET = '''
    """A format that keeps a TorchScript archive under a suffix of its own."""

    import torch

    from gaitway_runtime.policies.formats.base import ExportFormat, quiet_torch
    from gaitway_runtime.policies.sessions import TorchSession
    from gaitway_runtime.spec.contract import PolicyContract


    def write(policy, contract, path):
        with quiet_torch():
            torch.jit.save(torch.jit.script(policy.module), str(path), _extra_files={"about": contract.to_json()})


    def play(path, threads):
        extra = {"about": ""}
        module = torch.jit.load(str(path), _extra_files=extra)
        contract = PolicyContract.from_json(extra["about"])
        return TorchSession(module.eval(), contract.network, contract, "pocket")


    FORMAT = ExportFormat(title="Pocket file", file="policy.pocket", write=write, open=play)
'''

ENTRY = {"gaitway.export_formats": {"pocket": "pocket_format:FORMAT"}}


def test_a_format_of_an_installed_package(environment: Environment) -> None:
    environment.install("pocket-format", POCKET, ENTRY)
    made = environment.gaitway("export", CHECKPOINT, "--format", "pocket", "--output", "out", "--json")
    assert made.code == 0, made.err
    assert sorted(Path(path).name for path in made.json["files"].values()) == ["contract.json", "policy.pocket"]
    assert made.json["parity"]["passed"] is True
    assert {result["format"] for result in made.json["parity"]["results"]} == {"pocket"}
    assert "pocket" in environment.gaitway("infer", "--help-all").out
    refused = environment.gaitway("export", CHECKPOINT, "--format", "poket")
    assert refused.code == 2 and "did you mean pocket?" in refused.err


def test_it_is_played_in_simulation_as_the_built_in_ones_are(environment: Environment) -> None:
    environment.install("pocket-format", POCKET, ENTRY)
    words = ("--format", "pocket", "--num-envs", "2", "--max-steps", "10", "--video-length", "0", "--yes", "--json")
    task = "Isaac-Velocity-Flat-Anymal-C-v0"
    played = environment.gaitway("infer", "--task", task, "--checkpoint-uri", SAMPLE, *words)
    assert played.code == 0, played.err
    metrics = played.json["metrics"]["pocket"]
    assert metrics["format"] == "pocket" and metrics["parity"]["passed"] is True
    written = Path(environment.folder, played.json["run_dir"]) / "outputs" / "metrics" / "pocket_metrics.json"
    assert json.loads(written.read_text())["total_steps"] == 10


def test_a_broken_one_disturbs_no_other_command(environment: Environment) -> None:
    environment.install("pocket-format", "raise RuntimeError('no libpocket')", ENTRY)
    made = environment.gaitway("export", CHECKPOINT, "--output", "out")
    assert made.code == 0, made.err
    refused = environment.gaitway("export", CHECKPOINT, "--format", "pocket")
    assert refused.code == 3 and "export format 'pocket' of pocket-format cannot be used" in refused.err
    assert "no libpocket" in refused.err and "Traceback" not in refused.err
