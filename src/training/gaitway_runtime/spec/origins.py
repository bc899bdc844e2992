"""Origins of a job's values: the tag that tells one, and errors that name a variable where nobody typed the flag."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .job import Job
from .settings import settings_of

SETTING_TAG = "gaitway.setting."
"""Beginning of the tags of a run that tell its settings, each with its value and its origin in brackets."""

_VARIABLE = re.compile(r" \((env \w+)\)$")
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def variables_of(job: type[Job], tags: Mapping[str, str]) -> dict[str, str]:
    """Return what set the values of a job in place of its flags, by flag: ``env GAITWAY_ACTIVATION``.

    Args:
        job: The kind of job.
        tags: Tags of its run.
    """
    return {
        flag: found[1]
        for field, info in settings_of(job)
        if (found := _VARIABLE.search(tags.get(SETTING_TAG + field.name, "")))
        for flag in info.flags
    }


def with_origins(source: str, origins: Mapping[str, str]) -> str:
    """Return where a value came from with the origins of flags in the place of those that nobody typed.

    Args:
        source: What an error says, which may name several flags.
        origins: The origins, by flag.
    """
    return _FLAG.sub(lambda flag: origins.get(flag[0], flag[0]), source)
