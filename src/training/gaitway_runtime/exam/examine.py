"""Exam of a policy: conventions read or found, the policy judged and strained, a card written."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..evaluation.film import film_of
from ..evaluation.gate import Verdict, judge
from ..evaluation.metrics import RolloutMetrics, summarize
from ..evaluation.rollout import Rollout, run_episodes
from ..evaluation.sweep import Point
from ..evaluation.video import Filming
from ..policies.confined.policy_file import AskedPolicy, PolicyFile, inspect, opened
from ..simulators.base import load
from ..simulators.mujoco.env import MujocoEnv
from ..simulators.mujoco.models import compile_robot
from ..spec.contract import CONTRACT_FILE, PolicyContract
from ..spec.errors import UsageError
from ..spec.result import GateVerdict, write_json
from ..tasks.environment import EnvCfg
from . import conventions as words
from .bundled import with_gains
from .card import write_card
from .conventions import Conventions, contract_from
from .description import Description, Known
from .evidence import PolicyAnswers, robot_facts
from .hazards import hazards
from .known import conventions_of, describe, sizes
from .layouts import splits
from .outcome import Exam
from .playing import ExamActor, Recorder
from .search import BUDGET, Search, Searcher
from .strains import grounds, strained
from .subject import rough_task_of, spec_of, task_for
from .trials import Trials

log = logging.getLogger(__name__)

RESULT_FILE = "exam.json"
EPISODES = 32
"""Episodes that are judged, one in each world."""
FILM_STEPS = 200


@dataclass(frozen=True, kw_only=True)
class ExamRequest:
    """What is asked of an exam."""

    policy: Path
    output: Path
    robot: str | None = None
    task: str | None = None
    contract: Path | None = None
    """Description of the policy's conventions; by default its own, or the one beside it."""
    find: bool = False
    """Whether conventions are looked for although the policy has a description."""
    budget: float = BUDGET
    """CPU seconds that the search may take."""
    sweep: bool = True
    film: bool = True
    seed: int = 1
    activation: str | None = None


def examine(request: ExamRequest, say: Callable[[str], None] = log.info) -> Exam:
    """Examine a policy and write its card.

    Args:
        request: What is asked.
        say: Called with what is being done.

    Raises:
        UsageError: The policy cannot be read or run, fits no layout, or is for no robot here.
    """
    file = inspect(request.policy)
    with opened(file, request.activation) as policy:
        described = _described(file, request, policy.contract)
        task = task_for(request.robot, request.task, described, policy.outputs)
        say(f"{file.kind} with {policy.inputs} inputs and {policy.outputs} outputs, examined on {task.robot}")
        known = _known(described, task, policy, request.policy) if described and not request.find else None
        search = None if known else _search(policy, task, request, say)
        conventions = known.conventions if known else search.conventions if search else None
        assert conventions is not None
        source = f"read {known.source}" if known else "found by experiment"
        return _judged(file, policy, task, source, conventions, search, request, say)


def _described(file: PolicyFile, request: ExamRequest, inside: PolicyContract | None) -> Description | None:
    """Return what somebody wrote down of a policy; a search takes its robot from there, and needs no more of it."""
    try:
        return describe(file, request.contract, inside)
    except UsageError:
        if request.find:
            return None
        raise


def _known(described: Description, task: EnvCfg, policy: AskedPolicy, path: Path) -> Known:
    """Return the conventions that somebody wrote down, once they fit the policy and the task's control rate."""
    if described.control_dt and not 0.98 < described.control_dt / task.step_dt < 1.02:
        raise UsageError(
            f"the policy acts every {described.control_dt:g} s, {task.name} every {task.step_dt:g} s",
            source=described.source,
            hint="--task names a task of its rate",
        )
    found = conventions_of(described, spec_of(task))
    if policy.gains:
        found = dataclasses.replace(found, conventions=with_gains(found.conventions, policy.gains))
    if found.conventions.input_size != policy.inputs:
        raise UsageError(
            f"the policy takes {policy.inputs} inputs, its description has {found.conventions.input_size}",
            source=described.source,
            allowed=", ".join(f"{name} ({size})" for name, size in sizes(found.conventions)),
            hint=f"gaitway exam {path} --find looks for its conventions instead",
        )
    return found


def _search(policy: AskedPolicy, task: EnvCfg, request: ExamRequest, say: Callable[[str], None]) -> Search:
    """Find the conventions by experiment.

    Raises:
        UsageError: No layout has as many inputs.
    """
    spec = spec_of(task)
    layouts = splits(policy.inputs, len(spec.joint_names))
    if not layouts:
        raise UsageError(
            f"{policy.inputs} inputs are no layout that is known for a robot with {len(spec.joint_names)} joints",
            source=str(request.policy),
            allowed="frames of velocities, gravity, a command, joint positions, joint velocities and the last action, "
            "with a clock or a height scan",
            hint="--contract FILE says what the inputs are",
        )
    facts = robot_facts(compile_robot(task.robot, timestep=task.physics_dt), spec)
    scan = any(words.HEIGHT_SCAN in terms for _, terms in layouts)

    def act(rows: words.Floats) -> words.Floats:
        policy.reset()
        return policy.act(rows)

    trials = Trials(task, spec, policy, policy.outputs, scan=scan, budget=request.budget)
    with contextlib.closing(trials):
        return Searcher(
            PolicyAnswers(act, policy.inputs, facts), trials, spec, task.action.scales, policy.inputs, say
        ).run()


def _judged(
    file: PolicyFile,
    policy: AskedPolicy,
    task: EnvCfg,
    source: str,
    found: Conventions,
    search: Search | None,
    request: ExamRequest,
    say: Callable[[str], None],
) -> Exam:
    """Play the policy, strain it, and write the card."""
    say("playing whole episodes")
    env = MujocoEnv(task, num_envs=EPISODES, training=False, seed=request.seed)
    with contextlib.closing(env):
        recorder = Recorder(ExamActor(policy, found, env), env)
        rollout = run_episodes(env, recorder, EPISODES, seed=request.seed, snapshots=FILM_STEPS)
        demands = recorder.demands()
        here = env.contract
    metrics = summarize(rollout, format=file.kind, simulator=here.simulator)
    verdict = judge(task.name, rollout.episodes, metrics)
    gate, reasons = _gate(verdict, search)
    filming = _film(rollout, task, here, request) if request.film else None
    points = _strained(policy, found, task, request.seed, say) if request.sweep and _walks(metrics) else ()
    digest = file.sha256
    exam = Exam(
        file=file,
        sha256=digest,
        task=task,
        source=source,
        conventions=found,
        contract=contract_from(found, spec_of(task), here, {"policy_sha256": digest, "conventions": source}),
        search=search,
        gate=gate,
        reasons=reasons,
        verdict=verdict,
        metrics=metrics,
        rollout=rollout,
        demands=demands,
        points=points,
        hazards=tuple(hazards(found, demands, points)),
        video=filming.result() if filming else None,
        confined=policy.confined,
        assumptions=policy.assumptions,
        isaaclab=_isaaclab(),
        output=request.output,
    )
    _write(exam)
    return exam


def _gate(verdict: Verdict, search: Search | None) -> tuple[GateVerdict, tuple[str, ...]]:
    if search is not None and not search.walks and not verdict.passed:
        return GateVerdict.NOT_MET, ("the robot walks under no convention that was tried", *verdict.reasons)
    if verdict.success_rate is None:
        return GateVerdict.NOT_JUDGED, verdict.reasons
    return (GateVerdict.MET if verdict.passed else GateVerdict.NOT_MET), verdict.reasons


def _walks(metrics: RolloutMetrics) -> bool:
    """Whether straining the robot tells anything: one that falls by itself falls under every strain."""
    return (metrics.survival_rate or 0.0) >= 0.5


def _film(rollout: Rollout, task: EnvCfg, here: PolicyContract, request: ExamRequest) -> Filming:
    film = film_of(
        rollout.recording,
        task=task.name,
        simulator="mujoco",
        title=f"{task.robot} · {request.policy.name}",
        step_dt=rollout.step_dt,
        joint_names=here.robot.joint_names,
    )
    return Filming(film, request.output / "videos")


def _strained(
    policy: AskedPolicy, found: Conventions, task: EnvCfg, seed: int, say: Callable[[str], None]
) -> tuple[Point, ...]:
    """Return how the policy does under each condition, on rough ground too where the robot has some."""
    say("commands, pushes, friction, payload, delays, ground")
    rough = rough_task_of(task)
    flat = strained(policy, found, task, seed) if task.terrain is None else ()
    return (*flat, *(grounds(policy, found, rough, seed) if rough is not None else ()))


def _isaaclab() -> str:
    """Say whether the policy can be played in Isaac Lab too."""
    found = load("isaaclab").availability()
    if not found.present:
        return f"not played in Isaac Lab, which is not here: {found.reason}"
    return (
        f"Isaac Lab {found.version} is here: gaitway validate --simulator isaaclab --contract {CONTRACT_FILE} judges a "
        "checkpoint of this policy in it"
    )


def _write(exam: Exam) -> None:
    """Write the contract, the result and the card."""
    exam.output.mkdir(parents=True, exist_ok=True)
    (exam.output / CONTRACT_FILE).write_text(exam.contract.to_json() + "\n", encoding="utf-8")
    write_json(exam.document(), exam.output / RESULT_FILE)
    write_card(exam)
