"""The job ``dump-contract``: what a policy of a task sees and does in the simulator at hand, with a short trace.

The contract makes a policy portable (``--contract FILE`` of a validation elsewhere); the trace is what another
implementation of the same task can be held against.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

from ..simulators import base as simulators
from ..spec.contract import CONTRACT_FILE
from ..spec.job import DumpContractJob, Job
from ..spec.result import Result, write_json
from ..spec.run_context import RunContext
from .base import Workspace, tracked_run

if TYPE_CHECKING:
    from ..simulators.base import Env

TRACE_FILE = "trace.npz"
"""``observations`` (steps + 1, size), ``actions`` (steps, size), ``rewards`` and ``ended`` (steps,), ``reward_terms``
(steps, terms) named by ``reward_names``, and ``states`` (steps + 1, ...): what a replay needs, positions of base and
joints; of a step that ended an episode they are the next one's."""

ACTION_SPREAD = 0.3
"""Standard deviation of the trace's random actions: enough to move every joint, too little to fall at once."""


def run(job: Job, context: RunContext, workspace: Workspace) -> Result:
    """See :meth:`.base.JobModule.run`."""
    import numpy as np

    assert isinstance(job, DumpContractJob)
    module = simulators.load(job.simulator)
    workspace.progress.phase("starting")
    with contextlib.closing(module.open_env(job, num_envs=1, training=False, seed=job.seed)) as env:
        write_json(dataclasses.asdict(env.contract), workspace.output_dir / CONTRACT_FILE)
        np.savez_compressed(workspace.output_dir / TRACE_FILE, **_trace(env, job, workspace))
        with tracked_run(job, context, workspace.output_dir, store=workspace.store) as tracker:
            tracker.set_tags({"seed": str(job.seed), "simulator": env.contract.simulator})
            for name in (CONTRACT_FILE, TRACE_FILE):
                tracker.publish(workspace.output_dir / name, "")
            tracker.close("FINISHED")
    return Result(
        kind=job.kind,
        task=job.task,
        status="succeeded",
        steps=job.max_steps,
        experiment=tracker.experiment,
        mlflow_run_id=tracker.run_id or None,
        artifacts=(CONTRACT_FILE, TRACE_FILE),
        simulator=job.simulator,
    )


def _trace(env: Env, job: DumpContractJob, workspace: Workspace) -> dict[str, Any]:
    """Play small random actions in one world and return what it showed."""
    import numpy as np

    spread = np.random.default_rng(job.seed).normal(0, ACTION_SPREAD, (job.max_steps, 1, env.num_actions))
    actions = spread.astype(np.float32)
    observations, states = [simulators.policy_observations(env, env.reset(job.seed))[0].copy()], [env.snapshot()[0]]
    rewards, ended, terms = [], [], []
    for number, action in enumerate(actions):
        workspace.stop.check()
        step = env.step(action)
        observations.append(simulators.policy_observations(env, step.observations)[0].copy())
        states.append(env.snapshot()[0])
        rewards.append(step.task_rewards[0])
        terms.append({name: values[0] for name, values in step.reward_terms.items()})
        ended.append(bool(step.terminated[0] | step.truncated[0]))
        workspace.progress.report(number + 1, job.max_steps)
    return {
        "observations": np.stack(observations),
        "actions": actions[:, 0],
        "states": np.stack(states),
        "rewards": np.array(rewards),
        "reward_names": np.array(list(terms[0]), dtype=np.str_),
        "reward_terms": np.array([list(step.values()) for step in terms], dtype=np.float32),
        "ended": np.array(ended),
    }
