"""What the checks look at: the environment, and the settings it gives, as far as they can be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, GaitwayError
from ..findings import Finding
from ..settings.fields import Declared, declared
from ..settings.resolve import choose
from ..settings.sources import Candidate, candidates
from ..settings.terraform import Outputs, read_outputs
from ..settings.values import Setting


@dataclass(frozen=True)
class Surroundings:
    """What the checks look at. ``problem`` says why there are no Terraform outputs, where they are unreadable."""

    platform: str
    home: Path
    cli: Mapping[str, Any]
    environ: Mapping[str, str]
    outputs: Outputs
    problem: GaitwayError | None = None

    def settings(self, *classes: type[Any]) -> dict[str, Setting]:
        """Return what the sources say, leaving out what cannot be used."""
        return {
            key: choose(item, [offer for offer in self._offers(item) if not offer.error], self.outputs)
            for key, item in declared(classes).items()
        }

    def unusable(self, *classes: type[Any]) -> Iterator[Finding]:
        """Yield a finding for each value that does not fit its setting."""
        for key, item in declared(classes).items():
            for error in [offer.error for offer in self._offers(item) if offer.error]:
                fix = f"correct {error.source}" + (f"; allowed: {error.allowed}" if error.allowed else "")
                yield Finding(f"setting {key}", False, error.message, fix)

    def _offers(self, item: Declared) -> list[Candidate]:
        return candidates(item, self.cli, self.environ, self.outputs)


def look_around(
    platform: str, home: Path, cli: Mapping[str, Any], environ: Mapping[str, str], terraform_dir: Path
) -> Surroundings:
    """Read Terraform's outputs, if that is possible, and return the surroundings."""
    try:
        return Surroundings(platform, home, cli, environ, read_outputs(terraform_dir))
    except ConfigError as error:
        return Surroundings(platform, home, cli, environ, Outputs(terraform_dir), error)
