"""``Isaac-Cartpole-v0``: hold a pole upright by pushing the cart."""

from ...spec.catalog import Gate, LocalScale, SuccessRule, Task, Threshold, register

register(
    Task(
        name="Isaac-Cartpole-v0",
        aliases=("Isaac-Cartpole",),
        summary="Balance a pole on a cart",
        robot="cartpole",
        environment="gaitway_runtime.tasks.cartpole.environment:CARTPOLE",
        observations=4,
        actions=1,
        control_hz=60,
        episode_length_s=5,
        success=SuccessRule(
            sentence="the episode times out with the cart on its rail and the pole upright",
            # 0.2 rad are 11 degrees; the rail's half length is Isaac Lab's own bound.
            last=(Threshold("pole_angle", "<=", 0.2, "rad"), Threshold("cart_position", "<=", 3.0, "m")),
        ),
        gate=Gate(
            success_rate=0.9,
            thresholds=(Threshold("mean_episode_length", ">=", 290), Threshold("mean_reward", ">=", 4.0)),
        ),
        local=LocalScale(256, 110, 25),
        recipes={
            "rsl_rl": "gaitway_runtime.tasks.cartpole.recipe:RSL_RL",
            "skrl": "gaitway_runtime.tasks.cartpole.recipe:SKRL",
        },
    )
)
