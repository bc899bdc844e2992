"""The recipe for a checkpoint scheme, carried out in a package of its own."""

from __future__ import annotations

from .conftest import ROOT, Environment

SAMPLE = ROOT / "samples" / "anymal-c-flat" / "model_194.pt"

SCHEME = f'''
    """Checkpoints of a dummy store."""

    from dataclasses import dataclass
    from pathlib import Path
    from typing import ClassVar

    from gaitway_runtime.fetch.base import Located, Order
    from gaitway_runtime.spec.errors import UsageError
    from gaitway_runtime.stores.streams import FileSource


    @dataclass(frozen=True)
    class DummyAddress:
        """A checkpoint by its name."""

        name: str

        form: ClassVar[str] = "dummy://<name>"

        @classmethod
        def parse(cls, text: str) -> "DummyAddress":
            name = text.partition("://")[2]
            if not name:
                raise UsageError("this is no address in the dummy store", source=text, allowed=cls.form)
            return cls(name)

        def locate(self, order: Order) -> tuple[Located, ...]:
            return (Located(f"dummy://{{self.name}}", "model_194.pt", FileSource(Path({str(SAMPLE)!r}))),)
'''
ENTRY_POINT = {"gaitway.checkpoint_schemes": {"dummy": "dummy_store:DummyAddress"}}


def test_a_checkpoint_of_an_installed_scheme_is_exported(environment: Environment) -> None:
    environment.install("dummy-store", SCHEME, ENTRY_POINT)
    answer = environment.gaitway("export", "dummy://walker", "--output", "exported", "--json")
    assert answer.code == 0, answer.err
    assert answer.json["iteration"] == 194
    assert (environment.folder / "exported" / "policy.onnx").is_file()


def test_the_accepted_addresses_are_those_of_the_table(environment: Environment) -> None:
    environment.install("dummy-store", SCHEME, ENTRY_POINT)
    malformed = environment.gaitway("export", "dummy://")
    assert malformed.code == 2
    assert "allowed: dummy://<name>" in malformed.err
    unknown = environment.gaitway("export", "s3://bucket/model.pt")
    assert unknown.code == 2
    assert "s3:" in unknown.err
    assert "dummy://<name>" in unknown.err
    remote = environment.gaitway("train", "--on", "osmo", "-M", "warm-start", "-c", "dummy://walker", "--dry-run")
    assert remote.code == 0, remote.err
    assert "dummy://walker" in remote.out


def test_a_broken_scheme_is_named_and_breaks_no_other(environment: Environment) -> None:
    environment.install("dummy-store", "raise RuntimeError('no such library')", ENTRY_POINT)
    answer = environment.gaitway("export", SAMPLE, "--output", "exported", "--json")
    assert answer.code == 0, answer.err
    broken = environment.gaitway("export", "dummy://walker")
    assert broken.code == 3
    assert "checkpoint scheme 'dummy' of dummy-store cannot be used" in broken.err
    assert "no such library" in broken.err
