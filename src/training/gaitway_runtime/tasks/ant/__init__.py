"""``Isaac-Ant-v0``: run towards a far target."""

from ...spec.catalog import Gate, LocalScale, SuccessRule, Task, Threshold, register

SPEED = 3.0
"""Mean forward speed from which the ant counts as running [m/s]."""

register(
    Task(
        name="Isaac-Ant-v0",
        aliases=("Isaac-Ant",),
        summary="Run a four-legged ant forward",
        robot="ant",
        environment="gaitway_runtime.tasks.ant.environment:ANT",
        observations=60,
        actions=8,
        control_hz=60,
        episode_length_s=16,
        success=SuccessRule(
            sentence=f"the episode times out and the mean forward speed is at least {SPEED:g} m/s",
            mean=(Threshold("forward_speed", ">=", SPEED, "m/s"),),
        ),
        gate=Gate(success_rate=0.7, thresholds=(Threshold("mean_forward_speed", ">=", SPEED, "m/s"),)),
        local=LocalScale(256, 150, 50),
    )
)
