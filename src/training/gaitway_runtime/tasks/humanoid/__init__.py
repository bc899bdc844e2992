"""``Isaac-Humanoid-v0``: run towards a far target."""

from ...spec.catalog import Gate, LocalScale, SuccessRule, Task, Threshold, register

SPEED = 1.0
"""Mean forward speed from which the humanoid counts as walking [m/s]."""

register(
    Task(
        name="Isaac-Humanoid-v0",
        aliases=("Isaac-Humanoid",),
        summary="Run a humanoid forward",
        robot="humanoid",
        environment="gaitway_runtime.tasks.humanoid.environment:HUMANOID",
        observations=87,
        actions=21,
        control_hz=60,
        episode_length_s=16,
        success=SuccessRule(
            sentence=f"the episode times out and the mean forward speed is at least {SPEED:g} m/s",
            mean=(Threshold("forward_speed", ">=", SPEED, "m/s"),),
        ),
        gate=Gate(success_rate=0.7, thresholds=(Threshold("mean_forward_speed", ">=", SPEED, "m/s"),)),
        local=LocalScale(512, 500, 50),
    )
)
