"""rsl_rl on the embedded simulator: the environment in its form, mirrored copies, and the training."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import math
import tempfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rsl_rl.env import VecEnv
from rsl_rl.runners import OnPolicyRunner
from rsl_rl.utils.log_writer import LogWriter
from tensordict import TensorDict

from ...simulators.base import Mirror, StateTree
from ...spec.dotted_keys import apply_overrides
from ...spec.errors import UsageError
from ...spec.job import TrainJob
from ...tasks.learning import CPU_RSL_RL, ModelCfg, RslRlCfg, recipe_for
from ..base import LearnerTraining, Mark
from ..checkpoints import SavedTraining, check_layout, check_normalizer, check_widths, marks_for, widths_of
from ..loop import Session, marked
from ..monitor import NotFinite
from ..state import array_of
from . import late_inputs
from .older import converted
from .precision import mix_precision, obstacle_to_bfloat16
from .runner import RunnerState, attach, grouped_class, load_into, note_scalar
from .schedules import TrainingCourse, schedule
from .symmetric import Turn
from .ways import choose

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...simulators.base import Env


class RslRlEnv(VecEnv):  # type: ignore[misc]
    """Arrays in, tensors out. Every observation group of the environment becomes one of rsl_rl's.

    Args:
        env: The environment; it is reset here.
        seed: Seed of the first episodes.
    """

    def __init__(self, env: Env, seed: int) -> None:
        self.env = env
        self.num_envs = env.num_envs
        self.num_actions = env.num_actions
        self.max_episode_length = env.max_episode_length
        self.device = "cpu"
        self.cfg: dict[str, object] = {}
        self._observations = self._tensors(env.reset(seed))

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Control steps since each world's last reset, (N,)."""
        return torch.from_numpy(self.env.episode_length)

    @episode_length_buf.setter
    def episode_length_buf(self, value: torch.Tensor) -> None:
        self.env.episode_length[:] = value.numpy()

    def get_observations(self) -> TensorDict:
        """Return the current observations, each group (N, size)."""
        return self._observations

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict[str, object]]:
        """Apply actions, shape (N, num_actions), for one control step.

        Returns:
            Observations, rewards (N,), dones (N,), and extras: ``time_outs`` (N,) where an episode ended by time alone,
            ``log``, and ``task_rewards`` (N,), the part of the rewards that is reported.

        Raises:
            NotFinite: The environment returned something that is not a finite number.
        """
        if not torch.isfinite(actions).all():
            raise NotFinite("the policy's actions")
        transition = self.env.step(actions.numpy())
        if not np.isfinite(transition.rewards).all():
            raise NotFinite("the rewards")
        if not np.isfinite(transition.task_rewards).all():
            raise NotFinite("the task's rewards")
        self._observations = self._tensors(transition.observations)
        extras = {
            "time_outs": torch.from_numpy(transition.truncated & ~transition.terminated),
            "log": dict(transition.log),
            "task_rewards": torch.from_numpy(transition.task_rewards),
        }
        dones = torch.from_numpy(transition.terminated | transition.truncated).long()
        return self._observations, torch.from_numpy(transition.rewards), dones, extras

    def training_state(self) -> StateTree:
        """Return the observations that the policy acts on next."""
        return {name: values.numpy().copy() for name, values in self._observations.items()}

    def load_training_state(self, state: StateTree) -> None:
        """Restore :meth:`training_state`."""
        self._observations = self._tensors({name: array_of(state, name) for name in state})

    def _tensors(self, groups: Mapping[str, NDArray[np.float32]]) -> TensorDict:
        for name, values in groups.items():
            if not np.isfinite(values).all():
                raise NotFinite(f"the observations '{name}'")
        # Copied: rsl_rl keeps them until after the next step, and the environment may reuse its arrays.
        return TensorDict(
            {name: torch.tensor(values) for name, values in groups.items()}, batch_size=[self.num_envs], device="cpu"
        )


class MirroredCopies:
    """rsl_rl's ``data_augmentation_func``: every mini-batch is doubled by one mirror image, mirrors in turn.

    What a robot learns with its left side holds for its right. All images at once would cost as many passes and add
    little (measured).

    Args:
        mirrors: The task's symmetries.
    """

    def __init__(self, mirrors: Sequence[Mirror]) -> None:
        self._mirrors = [
            ({name: Turn.of(found) for name, found in mirror.observations.items()}, Turn.of(mirror.actions))
            for mirror in mirrors
        ]
        self.turn = 0
        """Index of the mirror that comes next."""

    def __deepcopy__(self, memo: dict[int, object]) -> MirroredCopies:
        """Return itself: rsl_rl copies its settings, and whose turn it is has to be saved of the one that it uses."""
        return self

    def __call__(self, env: Any, obs: TensorDict, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor]:
        """Return the batch followed by its mirror image.

        Args:
            env: Unused; rsl_rl passes it.
            obs: Observation groups, each (B, size).
            actions: Shape (B, num_actions).
        """
        observation_maps, action_map = self._mirrors[self.turn]
        self.turn = (self.turn + 1) % len(self._mirrors)
        batch = 2 * actions.shape[0]
        doubled = {name: torch.cat((values, observation_maps[name](values))) for name, values in obs.items()}
        return TensorDict(doubled, batch_size=[batch]), torch.cat((actions, action_map(actions)))


NETWORKS = ("actor", "critic")


class RslRlEmbeddedRun:
    """rsl_rl on one environment; see :class:`..loop.LibraryRun`.

    Args:
        training: The training.

    Raises:
        UsageError: An override names an unknown key, or a value of another type.
    """

    def __init__(self, training: LearnerTraining) -> None:
        self.config = configure(training.job)
        self.threads: int | None = self.config.torch_threads
        self.steps_per_iteration = self.config.num_steps_per_env * training.env.num_envs
        self.notes: Mapping[str, object] = {"class_name": "OnPolicyRunner", "obs_groups": _groups(training.env)}
        self._env, self._mode = training.env, training.start.mode

    def scale(self) -> None:
        """See :meth:`..loop.LibraryRun.scale`."""

    def check_start(self, saved: SavedTraining) -> None:
        """See :meth:`..loop.LibraryRun.check_start`."""
        config, env, saved = self.config, self._env, self._readable(saved)
        check_layout(saved, all(f"{network}_state_dict" in saved.content for network in self._taken(saved)))
        models: dict[str, tuple[ModelCfg, int]] = {
            "actor": (config.actor, env.num_actions),
            "critic": (config.critic, 1),
        }
        for network in self._taken(saved):
            model, outputs = models[network]
            weights = saved.content[f"{network}_state_dict"]
            wants = (self._inputs(network), *model.hidden_dims, outputs)
            check_widths(saved, network, widths_of(weights, r"mlp\.\d+"), wants, f"{network}.hidden_dims")
            normalized = "obs_normalizer._mean" in weights
            check_normalizer(saved, normalized, model.obs_normalization, f"{network}.obs_normalization")

    def learn(self, session: Session) -> None:
        """See :meth:`..loop.LibraryRun.learn`."""
        config = self.config
        with tempfile.TemporaryDirectory(prefix="gaitway-rsl-rl-") as scratch:
            wrapped, copies = RslRlEnv(session.env, session.job.seed), MirroredCopies(session.env.mirrors)
            runner = _make_runner(config, session, wrapped, copies, scratch)
            if session.saved:
                self._start_from(session.saved, runner, resumed=session.resumed)
            ways = choose(runner.alg, config, session.env.mirrors, _groups(session.env), drawn=session.saved is None)
            log.info("learning with %s", ", ".join(ways.told))
            runner.current_learning_iteration = session.first
            if config.settle or config.late_inputs:
                schedule(runner.alg, session.env, config, self._course(session))
            attach(
                runner,
                session.monitor,
                steps=session.steps,
                infos=lambda iteration: marked(self, session, iteration),
                save_interval=session.save_interval,
            )
            restored = session.keep_state(RunnerState(runner, wrapped, copies, ways.overlap))
            spread = config.init_at_random_ep_len and not restored
            with session.monitor.nan_guard(runner.alg.save):
                runner.learn(session.total - session.first, init_at_random_ep_len=spread)

    def _course(self, session: Session) -> TrainingCourse:
        return TrainingCourse(
            iteration=lambda: session.monitor.iteration,
            total=session.total,
            steps_per_iteration=self.steps_per_iteration,
        )

    def _readable(self, saved: SavedTraining) -> SavedTraining:
        """Return a checkpoint in this release's layout where its weights alone are taken."""
        if self._mode == "resume":
            return saved
        return converted(saved, log_std=self.config.actor.distribution_cfg.std_type == "log")

    def _taken(self, saved: SavedTraining) -> tuple[str, ...]:
        """Return the networks that are taken from a checkpoint: without its critic where that saw something else.

        The critic sees more here than the policy, in Isaac Lab as much: a policy from there brings a critic of other
        inputs. A warm start can do without it; a resume would not be one.
        """
        widths = widths_of(saved.content.get("critic_state_dict") or {}, r"mlp\.\d+")
        foreign = self._mode != "resume" and widths and widths[0] != self._inputs("critic")
        return ("actor",) if foreign else NETWORKS

    def _inputs(self, network: str) -> int:
        return sum(self._env.observation_sizes[group] for group in _groups(self._env)[network])

    def _start_from(self, saved: SavedTraining, runner: OnPolicyRunner, *, resumed: bool) -> None:
        saved = self._readable(saved)
        taken = self._taken(saved)
        if "critic" not in taken:
            log.info("the critic starts anew: the checkpoint's sees other values than this task's")
        load_into(runner, saved, everything=resumed, networks=taken)

    def own_marks(self, iteration: int) -> dict[str, Mark]:
        """See :meth:`..loop.LibraryRun.own_marks`."""
        actor = self.config.actor
        return marks_for(
            self._env, activation=actor.activation, obs_normalization=actor.obs_normalization, iteration=iteration
        )


def configure(job: TrainJob) -> RslRlCfg:
    """Return the recipe of the job's task with the job's overrides applied.

    Raises:
        UsageError: An override names an unknown key, or a value of another type.
    """
    recipe = recipe_for(job.task, "rsl_rl", CPU_RSL_RL)
    return apply_overrides(recipe, "agent", job.overrides) if job.overrides else recipe


def _make_runner(
    config: RslRlCfg, session: Session, wrapped: RslRlEnv, copies: MirroredCopies, scratch: str
) -> OnPolicyRunner:
    """Build rsl_rl's runner around the environment; the files that it logs itself go to a temporary folder."""
    env = session.env
    settings: dict[str, Any] = dataclasses.asdict(config)
    mirrored = config.mirror and len(env.mirrors) > 0
    mixed = config.algorithm.use_mixed_precision and not obstacle_to_bfloat16()
    settings["algorithm"] |= {
        "use_mixed_precision": mixed,
        "rnd_cfg": None,
        "symmetry_cfg": {"use_data_augmentation": True, "data_augmentation_func": copies} if mirrored else None,
    }
    settings |= {
        "save_interval": session.save_interval,
        "obs_groups": _groups(env),
        "logger": {"class_name": _ScalarWriter},
        # The environment's tensors are checked where they are made, infinities included.
        "check_for_nan": False,
    }
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            runner = grouped_class(OnPolicyRunner, session.monitor.group.rank)(
                wrapped, settings, log_dir=scratch, device="cpu"
            )
    except (ValueError, TypeError) as error:
        raise UsageError(f"rsl_rl refuses this configuration: {error}", source="params/agent.yaml, --set") from error
    runner.logger.git_status_repos.clear()
    _report_task_rewards(runner.logger)
    if mirrored:
        _skip_mirror_loss(runner.alg)
    if mixed:
        mix_precision(runner.alg)
    if config.late_inputs:
        late_inputs.zero(runner.alg, env, config.late_inputs)
    _set_initial_std(runner.alg, env, config)
    if config.quiet_start:
        _quieten(runner.alg.actor.mlp[-1])
    return runner


def _quieten(last: torch.nn.Linear) -> None:
    """Bring a network's outputs to about zero: its last layer counts for a hundredth."""
    with torch.no_grad():
        last.weight.mul_(0.01)
        last.bias.zero_()


def _set_initial_std(algorithm: Any, env: Env, config: RslRlCfg) -> None:
    """Give the actions of some joints a standard deviation of their own to begin with.

    Raises:
        UsageError: No joint's name contains a text.
    """
    joints = [joint for term in env.contract.actions for joint in term.joint_names]
    distribution, log = algorithm.actor.distribution, config.actor.distribution_cfg.std_type == "log"
    for text, std in config.initial_std:
        rows = [number for number, joint in enumerate(joints) if text in joint]
        if not rows:
            raise UsageError(
                f"no joint of the policy contains '{text}'",
                source="--set agent.initial_std",
                allowed=", ".join(joints),
            )
        with torch.no_grad():
            (distribution.log_std_param if log else distribution.std_param)[rows] = math.log(std) if log else std


class _ScalarWriter(LogWriter):  # type: ignore[misc]
    """Writer of rsl_rl's logger that keeps the scalars of an iteration for the monitor."""

    def __init__(self, log_dir: str) -> None:
        self.scalars: dict[str, float] = {}

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Note a scalar."""
        note_scalar(self.scalars, tag, scalar_value)


def _skip_mirror_loss(algorithm: Any) -> None:
    """Leave out what rsl_rl computes for its log alone: one more pass of the actor over every mini-batch."""
    update = algorithm.update
    algorithm.symmetry.compute_loss = lambda *_: torch.zeros(())
    algorithm.update = lambda: {name: value for name, value in update().items() if name != "symmetry"}


def _report_task_rewards(logger: Any) -> None:
    """Report Isaac Lab's reward as ``Train/mean_reward``, without the shaping that the learner maximises too."""
    process_env_step = logger.process_env_step

    def process_task_rewards(rewards: torch.Tensor, dones: torch.Tensor, extras: dict[str, object], *more: Any) -> None:
        process_env_step(extras["task_rewards"], dones, extras, *more)

    logger.process_env_step = process_task_rewards


def _groups(env: Env) -> dict[str, list[str]]:
    """Observation groups of each network."""
    return {"actor": ["policy"], "critic": ["critic" if "critic" in env.observation_sizes else "policy"]}
