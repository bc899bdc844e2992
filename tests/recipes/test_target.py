"""The recipe "Add an export target" of CONTRIBUTING, carried out."""

import json
from pathlib import Path

from .conftest import ROOT, Environment

SAMPLE = ROOT / "samples" / "anymal-c-flat" / "model_194.pt"

PLC = '''
    """A deployer that wants the gains in a file of its own."""

    import json

    from gaitway_runtime.policies.targets.base import ExportTarget, contract_problems
    from gaitway_runtime.policies.targets.graph import write_policy


    def problems(policy, contract):
        yield from contract_problems(policy, contract)
        if len(contract.robot.joint_names) > 12:
            yield "it has more joints than the PLC has channels"


    def write(policy, contract, folder):
        write_policy(policy, folder / "plc.onnx", {})
        gains = {"kp": contract.robot.stiffness, "kd": contract.robot.damping}
        (folder / "gains.json").write_text(json.dumps(gains))


    TARGET = ExportTarget("the PLC", problems, write)
'''


def test_a_target_of_an_installed_package(environment: Environment) -> None:
    environment.install("plc-target", PLC, {"gaitway.export_targets": {"plc": "plc_target:TARGET"}})
    assert "plc" in environment.gaitway("export", "--help").out
    made = environment.gaitway("export", SAMPLE, "--format", "onnx", "--for", "plc", "--output", "out", "--json")
    assert made.code == 0, made.err
    folder = Path(environment.folder, made.json["deploy"]["plc"])
    assert sorted(path.name for path in folder.iterdir()) == ["gains.json", "plc.onnx"]
    assert json.loads((folder / "gains.json").read_text())["kp"] == [150.0] * 12


def test_what_it_cannot_express_is_said_and_nothing_is_written(environment: Environment) -> None:
    environment.install("plc-target", PLC, {"gaitway.export_targets": {"plc": "plc_target:TARGET"}})
    checkpoint = ROOT / "tests" / "fixtures" / "checkpoints" / "rsl_rl-5.5.1-normalized" / "model.pt"
    refused = environment.gaitway("export", checkpoint, "--for", "plc", "--output", "out")
    assert refused.code == 2 and "the PLC cannot run this policy: its observations are not given" in refused.err
    assert not Path(environment.folder, "out").exists()
