"""Why a policy may have failed, in plain words: behaviour that is known, and what its contract says differently."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One likely cause."""

    cause: str
    evidence: str
    """What was measured that speaks for it."""
    advice: str = ""
    """What to look at next."""

def diagnose(rollout, subject): return ()
