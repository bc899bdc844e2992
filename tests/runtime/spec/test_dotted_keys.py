from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from gaitway_runtime.spec.dotted_keys import apply_overrides
from gaitway_runtime.spec.errors import UsageError


@dataclass(frozen=True)
class Algorithm:
    learning_rate: float = 1e-3
    epochs: int = 5
    clipped: bool = True
    desired_kl: float | None = 0.01


@dataclass(frozen=True)
class Config:
    hidden_dims: tuple[int, ...] = (32, 32)
    activation: str = "elu"
    algorithm: Algorithm = field(default_factory=Algorithm)


def test_values_take_the_type_of_their_field_and_the_last_one_wins() -> None:
    changed = apply_overrides(
        Config(),
        "agent",
        (
            "agent.algorithm.learning_rate=1",
            "agent.algorithm.learning_rate=3e-4",
            "agent.hidden_dims=[64, 64]",
            "agent.activation='relu'",
            "agent.algorithm.clipped=false",
            "agent.algorithm.desired_kl=none",
            "env.algorithm.epochs=9",
        ),
    )
    assert changed == Config((64, 64), "relu", Algorithm(3e-4, 5, False, None))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("agent.learning_rate=1", "unknown key 'agent.learning_rate'", "did you mean algorithm.learning_rate?"),
        ("agent.algorithm.epocs=1", "unknown key 'agent.algorithm.epocs'", "did you mean algorithm.epochs?"),
        ("agent.algorithm=1", "unknown key 'agent.algorithm'", None),
        ("agent.activation.x=1", "unknown key 'agent.activation.x'", None),
        ("agent.algorithm.epochs=1.5", "'1.5' is not a whole number", None),
        ("agent.algorithm.clipped=maybe", "'maybe' is not true or false", None),
        ("agent.hidden_dims=64", "'64' is not a list of whole numbers", None),
        ("agent.activation", "override 'agent.activation' is not of the form SECTION.KEY=VALUE", None),
        ("learning_rate=1", "override 'learning_rate=1' is not of the form SECTION.KEY=VALUE", None),
    ],
)
def test_what_does_not_fit_is_refused(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        apply_overrides(Config(), "agent", (text,))
    assert caught.value.message == message
    if hint:
        assert caught.value.hint == hint
