"""The verbs. A new one is a file in this package that offers ``command``, and a row here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """Where a verb stands in ``gaitway --help`` and what it does, in a sentence."""

    section: str
    summary: str


VERBS: dict[str, Verb] = {
    "tasks": Verb("Look", "List the embedded simulator's tasks with their sizes and gates."),
    "config": Verb("Set-up", "Show every setting, its value, where it came from, and what it shadowed."),
    "doctor": Verb("Set-up", "Check tools, packages, credentials and stores, with the fix for each finding."),
    "version": Verb("Set-up", "Show the versions of gaitway and of what it works with."),
}
"""Verbs by name, in the order of ``--help``. The module is ``gaitway.cli.<name>``."""
