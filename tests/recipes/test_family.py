"""The recipe "Add a policy family" of CONTRIBUTING, carried out."""

from __future__ import annotations

from pathlib import Path

import torch

from .conftest import Environment

ACME = '''
    """Files of the Acme library: a list of layers, each with its matrix and its bias."""

    from gaitway_runtime.policies.network import Output, PolicyParts
    from gaitway_runtime.policies.weights import Linear

    NAME = "Acme 2"


    def recognises(entries):
        """Whether a checkpoint's top-level entries are Acme's."""
        return "acme_layers" in entries


    def read(entries, training):
        """Return the policy's parts."""
        found = entries["acme_layers"]
        layers = [Linear(each["matrix"], each["bias"], followed=each is not found[-1]) for each in found]
        return PolicyParts(
            family=NAME,
            linears=tuple(layers),
            activations=("tanh",) * (len(layers) - 1),
            activation_source="Acme has no other",
            normalizer=None,
            output=Output("deterministic"),
            entries_read=frozenset(entries),
        )
'''


def save(path: Path) -> None:
    layers = [{"matrix": torch.randn(rows, columns), "bias": torch.zeros(rows)} for rows, columns in ((8, 4), (1, 8))]
    torch.save({"acme_layers": layers}, path)


def test_a_family_of_an_installed_package(environment: Environment) -> None:
    save(environment.folder / "policy.pt")
    words = ("export", "policy.pt", "--output", "out", "--json")
    refused = environment.gaitway(*words)
    assert refused.code == 2, "nobody reads it yet"
    environment.install("acme-policies", ACME, {"gaitway.policy_families": {"acme": "acme_policies"}})
    made = environment.gaitway(*words)
    assert made.code == 0, made.err
    assert made.json["parity"]
    assert (environment.folder / "out" / "policy.onnx").exists()
