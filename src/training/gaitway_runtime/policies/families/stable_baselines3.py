"""Stable-Baselines3 archives: ``policy.pth`` with ``mlp_extractor.policy_net.*`` or ``actor.*`` (SAC, TQC, TD3, DDPG).

The settings beside it (``data``) are JSON; the pickles inside them are not opened. ``predict`` clips to the action
space, whose bounds are among the settings. Statistics of a ``VecNormalize`` are in a file beside the archive.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...spec.errors import UsageError
from .. import vecnormalize
from ..checkpoint import SB3_DATA, SB3_STATISTICS
from ..foreign_files import SB3_POLICY
from ..network import Normalizer, Output, PolicyParts
from ..training_config import TrainingConfig
from ..weights import DESCRIBE, Linear, StateDict, linear_chain, mlp_chain, refuse_unread, state_dict, take
from .checks import unused_normalizer

NAME = "Stable-Baselines3"

_MODULES = (
    "stable_baselines3.common.policies",
    "stable_baselines3.sac.policies",
    "stable_baselines3.td3.policies",
    "sb3_contrib.tqc.policies",
)
"""Modules of policies that act as they are read here; TQC's actor is SAC's."""
_NOT_ACTING = ("value_net.", "mlp_extractor.value_net.", "critic.", "critic_target.", "actor_target.", "log_std")
_NUMBER = re.compile(r"[-+]?(?:inf|nan|\d+\.?\d*(?:e[-+]?\d+)?)", re.IGNORECASE)


def recognises(entries: Mapping[str, object]) -> bool:
    """Whether the checkpoint is a Stable-Baselines3 archive."""
    return SB3_DATA in entries and SB3_POLICY in entries


def read(entries: Mapping[str, Any], training: TrainingConfig) -> PolicyParts:
    """Read the policy of PPO or A2C, or the actor of SAC, TQC, TD3 or DDPG.

    Raises:
        UsageError: It is of another kind, of somebody else's class, or chooses among discrete actions.
    """
    settings, state = entries[SB3_DATA], state_dict(entries, SB3_POLICY)
    _check_policy(settings)
    linears, last, default = _layers(state)
    activations, source = training.activations(len(linears) - 1, _activation(settings, default))
    low, high = _action_space(settings)
    normalizer = _normalizer(settings, entries.get(SB3_STATISTICS), training)
    return PolicyParts(
        family=NAME,
        linears=linears,
        activations=activations,
        activation_source="the archive's settings" if source == str(training.agent_file) else source,
        normalizer=normalizer,
        output=_squashed(low, high, _clip_of_mean(state, settings))
        if last == "tanh"
        else Output("gaussian", low=low, high=high),
        iteration=None,
        entries_read=frozenset({SB3_DATA, SB3_POLICY, SB3_STATISTICS}),
        assumptions=() if normalizer or training.value("normalize_input") is False else (_NO_STATISTICS,),
    )


_NO_STATISTICS = (
    "observations are taken as they are: a VecNormalize is kept in a file of its own; put its vecnormalize.pkl beside "
    "the archive if the policy was trained with one"
)


def _normalizer(settings: Mapping[str, object], file: Path | None, training: TrainingConfig) -> Normalizer | None:
    """Return the statistics of the VecNormalize beside the archive, where the policy was trained with one.

    Raises:
        UsageError: It was, and they are not there; or the configuration says that it was not, and they are.
    """
    found = vecnormalize.read(file) if file is not None else None
    told = training.value("normalize_input")  # Isaac Lab's name
    if found is not None and told is False:
        raise unused_normalizer(str(file), training)
    # PPO and A2C keep the original observations only where a VecNormalize changed them; the others always.
    wrapped = "gae_lambda" in settings and settings.get("_last_original_obs") is not None
    if found is None and (told or (wrapped and file is None and told is None)):
        raise UsageError(
            "the policy was trained behind a VecNormalize, whose observation statistics are in a file of its own",
            source=str(training.agent_file) if told else "data: _last_original_obs",
            hint="put the vecnormalize.pkl that was saved with it beside the archive",
        )
    return found


def _check_policy(settings: Mapping[str, object]) -> None:
    """Refuse what may compute anything: a class of somebody else's, a feature extractor, observations by name."""
    space = settings.get("observation_space")
    kind = str(space.get(":type:", "")) if isinstance(space, Mapping) else ""
    if "Box" not in kind:
        raise UsageError(
            f"the policy's observations are no vector of numbers: {kind or 'not told'}",
            source="data: observation_space",
            hint=DESCRIBE,
        )
    found = settings.get("policy_class")
    module = found.get("__module__") if isinstance(found, Mapping) else None
    if module not in (None, *_MODULES):
        raise UsageError(
            f"the policy was made by a class that is not Stable-Baselines3's own, and may compute anything: {module}",
            source="data: policy_class",
            allowed=", ".join(_MODULES),
            hint=DESCRIBE,
        )
    arguments = settings.get("policy_kwargs")
    arguments = arguments if isinstance(arguments, Mapping) else {}
    extractor = str(arguments.get("features_extractor_class") or "FlattenExtractor")
    if "FlattenExtractor" not in extractor or arguments.get("squash_output"):
        raise UsageError(
            f"the policy has a feature extractor or an output of its own: {extractor}",
            source="data: policy_kwargs",
            hint=DESCRIBE,
        )


def _layers(state: StateDict) -> tuple[tuple[Linear, ...], str | None, str]:
    """Return the layers, the activation on the last one, and the default of the hidden ones."""
    if "action_net.weight" in state:
        refuse_unread(state, ("mlp_extractor.policy_net.", "action_net.", *_NOT_ACTING), "policy")
        return _chain(state, "mlp_extractor.policy_net.", "action_net."), None, "tanh"
    if "actor.mu.weight" in state:
        refuse_unread(state, ("actor.latent_pi.", "actor.mu.", "actor.log_std.", *_NOT_ACTING), "policy")
        return _chain(state, "actor.latent_pi.", "actor.mu."), "tanh", "relu"
    if _explores_by_state(state):
        refuse_unread(state, ("actor.latent_pi.", "actor.mu.0.", "actor.log_std", *_NOT_ACTING), "policy")
        return _chain(state, "actor.latent_pi.", "actor.mu.0."), "tanh", "relu"
    refuse_unread(state, ("actor.mu.", *_NOT_ACTING), "policy")
    return mlp_chain(take(state, "actor.mu."), "policy"), "tanh", "relu"


def _explores_by_state(state: StateDict) -> bool:
    """Whether an actor's noise depends on the state (gSDE): its mean is then clipped, by a module of its own."""
    return "actor.mu.0.weight" in state and "actor.latent_pi.0.weight" in state


def _clip_of_mean(state: StateDict, settings: Mapping[str, object]) -> float:
    """Return the bound to which a mean is clipped before it is squashed; infinite where it is not."""
    if not _explores_by_state(state):
        return math.inf
    arguments = settings.get("policy_kwargs")
    told = arguments.get("clip_mean", 2.0) if isinstance(arguments, Mapping) else 2.0  # Stable-Baselines3's default
    if not isinstance(told, int | float) or not told > 0:
        raise UsageError(f"the bound of the policy's mean is no number above zero: {told!r}", source="data: clip_mean")
    return float(told)


def _chain(state: StateDict, trunk: str, head: str) -> tuple[Linear, ...]:
    last = {f"0.{name}": tensor for name, tensor in take(state, head).items()}
    hidden = take(state, trunk)
    return (*(mlp_chain(hidden, "policy") if hidden else ()), *linear_chain(last, "policy"))


def _activation(settings: Mapping[str, object], default: str) -> str:
    arguments = settings.get("policy_kwargs")
    named = arguments.get("activation_fn") if isinstance(arguments, Mapping) else None
    if named is None:
        return default
    module, _, name = str(named).removeprefix("<class '").rstrip("'>").rpartition(".")
    if module and not module.startswith("torch.nn"):
        raise UsageError(
            f"the policy's activation is not torch's own, and may compute anything: {module}.{name}",
            source="data: policy_kwargs",
            allowed="classes of torch.nn",
            hint=DESCRIBE,
        )
    return name


def _action_space(settings: Mapping[str, object]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the bounds of the action space, which ``predict`` clips to.

    Raises:
        UsageError: They are not told, or the actions are discrete.
    """
    space = settings.get("action_space")
    kind = str(space.get(":type:", "")) if isinstance(space, Mapping) else ""
    if not isinstance(space, Mapping) or "Box" not in kind:
        raise UsageError(f"the policy's action space is not a box of numbers: {kind or 'none'}", source="data")
    bounds = tuple(tuple(float(word) for word in _NUMBER.findall(str(space.get(name)))) for name in ("low", "high"))
    if not bounds[0] or len(bounds[0]) != len(bounds[1]) or any(math.isnan(bound) for side in bounds for bound in side):
        raise UsageError("the bounds of the policy's action space cannot be read", source="data: action_space")
    return bounds[0], bounds[1]


def _squashed(low: tuple[float, ...], high: tuple[float, ...], clip: float) -> Output:
    """Return ``low + (tanh(clamp(mean, -clip, clip)) + 1) / 2 * (high - low)``."""
    if not all(math.isfinite(bound) for bound in (*low, *high)):
        raise UsageError("the policy is squashed to an action space without bounds", source="data: action_space")
    half = tuple((top - bottom) / 2 for bottom, top in zip(low, high, strict=True))
    middle = tuple((top + bottom) / 2 for bottom, top in zip(low, high, strict=True))
    found = Output("deterministic", squash="tanh", scale=half, offset=middle)
    if not math.isfinite(clip):
        return found
    # The squash is monotonic: a clipped mean is a clipped action.
    reach = [math.tanh(clip) * value for value in half]
    return dataclasses.replace(
        found,
        low=tuple(centre - most for centre, most in zip(middle, reach, strict=True)),
        high=tuple(centre + most for centre, most in zip(middle, reach, strict=True)),
    )
