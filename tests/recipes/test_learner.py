"""The recipe "Add a learner" of CONTRIBUTING, carried out."""

from .conftest import Environment

STANDING = '''
    """A learner that learns nothing: it steps the environment with actions of zero, and saves them."""

    import numpy as np
    import torch

    from gaitway_runtime.learners.base import TrainingOutcome


    class Standing:
        def check(self, training):
            assert training.job.backend == "standing"

        def train(self, training, callbacks, marks):
            job, env = training.job, training.env
            env.reset(job.seed)
            zeros = np.zeros((env.num_envs, env.num_actions), np.float32)
            for iteration in range(job.max_iterations):
                rewards = env.step(zeros).task_rewards
                steps = (iteration + 1) * env.num_envs
                metrics = {"Train/mean_reward": float(rewards.mean())}
                callbacks.on_iteration(iteration, job.max_iterations, steps, metrics)
            path = training.output_dir / "checkpoints" / f"model_{iteration}.pt"
            path.parent.mkdir()
            torch.save({"standing": torch.zeros(env.num_actions), "gaitway": dict(marks)}, path)
            callbacks.on_checkpoint(path, iteration)
            return TrainingOutcome(
                iterations=iteration + 1,
                steps=steps,
                seconds=0.0,
                final_checkpoint=path,
                final_iteration=iteration,
                stopped=False,
            )


    LEARNER = Standing()
'''
TRAIN = ("train", "--task", "Isaac-Cartpole-v0", "--num-envs", "2", "--max-iterations", "3", "--seed", "1")


def test_a_learner_of_an_installed_package(environment: Environment) -> None:
    environment.install("standing", STANDING, {"gaitway.learners": {"standing": "standing:LEARNER"}})
    ran = environment.gaitway(*TRAIN, "--backend", "standing", "--skip-register-checkpoint", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["experiment"] == "isaaclab-standing-Isaac-Cartpole-v0"
    assert (ran.json["iterations"], ran.json["steps"]) == (3, 6)
    assert ran.json["final_checkpoint"]["iteration"] == 2
    assert "--backend rsl_rl|skrl|standing" in environment.gaitway("train", "--help").out


def test_a_learner_that_nobody_has(environment: Environment) -> None:
    refused = environment.gaitway(*TRAIN, "--backend", "skrll", "--dry-run")
    assert refused.code == 2
    assert "allowed: rsl_rl, skrl\n" in refused.err
    assert "did you mean skrl?" in refused.err


def test_a_learner_that_cannot_be_imported_is_named_and_harms_no_other(environment: Environment) -> None:
    environment.install("broken", "raise RuntimeError('no GPU driver')", {"gaitway.learners": {"broken": "broken:X"}})
    ran = environment.gaitway(*TRAIN, "--backend", "broken", "--skip-register-checkpoint", "--json")
    assert ran.code == 3
    assert "learner 'broken' of broken cannot be used: RuntimeError: no GPU driver" in ran.err
    assert environment.gaitway(*TRAIN, "--dry-run").code == 0
