"""Out of memory, said in environments: how many fit at most. Standard library only; asks torch where it is loaded."""

from __future__ import annotations

import re
import sys

from ..spec.errors import JobFailed
from .machine import Room, memory

_WORDS = re.compile(r"out of memory|(could not|can't|failed to|unable to) allocate", re.IGNORECASE)
_SIZE = re.compile(r"allocate\D{0,12}([\d.]+) ?(bytes|[KMGT]?i?B)", re.IGNORECASE)
_UNITS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def explained(error: BaseException, num_envs: int, room: Room | None = None) -> JobFailed | None:
    """Return a failed allocation as an error that says how many environments fit; None for any other error.

    What was taken and what was asked for in vain are measured. Together they are the least that this many environments
    need, so that the number is an upper bound: nobody knows what would have been asked for next.

    Args:
        error: What was raised, by torch, Warp, PhysX or numpy.
        num_envs: Environments that were asked for.
        room: The memory; looked at when omitted.
    """
    if not (isinstance(error, MemoryError) or _WORDS.search(str(error))):
        return None
    room = room or _gpu() or memory()
    asked = asked_for(str(error))
    message = f"{room.what} does not hold {num_envs} environments"
    fits = max(1, num_envs * room.total // (room.taken + asked)) if room.taken + asked else num_envs
    if asked and room.taken + asked > room.total and num_envs > 1:
        message += (
            f": {_gib(room.taken)} of {_gib(room.total)} were taken when {_gib(asked)} more were asked for, "
            f"so at most {fits} fit"
        )
    return JobFailed(message, source="--num-envs", hint=f"--num-envs {max(1, min(fits, num_envs) // 2)}")


def asked_for(message: str) -> int:
    """Return the size that an error says could not be had [bytes]; 0 where it does not say."""
    found = _SIZE.search(message)
    if not found:
        return 0
    unit = "" if found[2].lower() == "bytes" else found[2].upper().rstrip("B").rstrip("I")
    return int(float(found[1]) * 1024 ** _UNITS[unit])


def _gpu() -> Room | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    free, total = torch.cuda.mem_get_info()
    return Room("the GPU's memory", total - free, total)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
