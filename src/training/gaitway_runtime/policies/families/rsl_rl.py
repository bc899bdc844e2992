"""rsl_rl 4.x and 5.x: ``actor_state_dict`` with ``mlp.*``, ``rnn.rnn.*``, ``obs_normalizer.*``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import UsageError
from ..network import Output, Parts
from ..surroundings import Surroundings
from ..weights import StateDict, linear_chain, recurrent_stack, refuse_unread, state_dict, take
from .common import check_hidden_sizes, empirical_normalizer, iteration_of

NAME = "rsl_rl 4.x-5.x"

_STD = ("std", "log_std", "distribution.std_param", "distribution.log_std_param")


def recognises(checkpoint: Mapping[str, Any]) -> bool:
    """Whether the checkpoint has rsl_rl's separate actor, or a distilled student."""
    return "actor_state_dict" in checkpoint or "student_state_dict" in checkpoint


def read(checkpoint: Mapping[str, Any], around: Surroundings) -> Parts:
    """Read the actor (of a distillation run: the student)."""
    role, teacher = ("actor", "critic") if "actor_state_dict" in checkpoint else ("student", "teacher")
    actor = state_dict(checkpoint, f"{role}_state_dict")
    refuse_unread(actor, ("mlp.", "rnn.rnn.", "obs_normalizer.", *_STD), role)
    linears = linear_chain(take(actor, "mlp."), role)
    recurrent = take(actor, "rnn.rnn.")
    activation_paths = (f"{role}.activation", "policy.activation")
    activation, source = around.activation_name(*activation_paths) if len(linears) > 1 else ("identity", "not needed")
    check_hidden_sizes(linears, around, (f"{role}.hidden_dims", "policy.actor_hidden_dims"))
    other = checkpoint.get(f"{teacher}_state_dict")
    return Parts(
        family=NAME,
        linears=linears,
        activations=(activation,) * (len(linears) - 1),
        activation_source=source,
        normalizer=empirical_normalizer(
            take(actor, "obs_normalizer."),
            expected=around.says_normalized(f"{role}.obs_normalization", "empirical_normalization"),
            other_is_normalized=isinstance(other, Mapping)
            and any(name.startswith("obs_normalizer.") for name in other),
            where=f"{role}_state_dict.obs_normalizer",
            around=around,
        ),
        output=_output(actor, around, role, rows=linears[-1].weight.shape[0]),
        rnn=recurrent_stack(recurrent, role) if recurrent else None,
        output_limit=around.output_limit("clip_actions"),
        iteration=iteration_of(checkpoint),
    )


def _output(actor: StateDict, around: Surroundings, role: str, rows: int) -> Output:
    """Tell what the last layer gives: a mean, a mean with its spread, or a Beta distribution's parameters."""
    if any(name in actor for name in _STD):
        return Output("gaussian")
    config = around.config(f"{role}.distribution_cfg")
    name = str(config.get("class_name", "")) if isinstance(config, Mapping) else ""
    if "Heteroscedastic" in name or around.config(f"{role}.state_dependent_std", "policy.state_dependent_std"):
        return Output("state_dependent_gaussian")
    if "Beta" in name:
        low, high = config.get("action_range") or (-1.0, 1.0)
        return Output("beta", bounds=(float(low), float(high)))
    if rows % 2 or (around.agent and not name) or role == "student":
        return Output("deterministic")
    raise UsageError(
        f"the checkpoint has no action spread, and its {rows} outputs could be {rows} actions or {rows // 2} with "
        "their spread beside them",
        source="; ".join(around.looked),
        hint="put the run's params/agent.yaml beside the checkpoint; it names the distribution",
    )
