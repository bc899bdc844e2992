"""Write the card of a sample from its exam: what it does, under which strain it falls, what it asks of the robot.

Usage: gaitway exam samples/go2-flat/model_139.pt --task TASK --output EXAM, then
python samples/card.py EXAM/exam.json CARD.md
"""

import itertools
import json
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def card(exam: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a card in Markdown.

    Args:
        exam: Content of an ``exam.json``.
    """
    verdict, demands, gait = exam["verdict"], exam["demands"], exam["demands"]["gait"]
    hardest = max(demands["joints"], key=lambda joint: joint["torque_use"] or 0.0)
    policy = Path(exam["policy"])
    yield from (f"# {exam['task']}: `{policy.name}`", "")
    yield f"{exam['gate'].capitalize()}: {verdict['successes']} of {verdict['episodes']} episodes succeed"
    yield f"({verdict['criterion']})."
    yield f"Score {exam['score']:.0f} of 100 on `{exam['robot']}` in {exam['simulator']}:"
    yield f"`gaitway exam {exam['policy']} --task {exam['task']}`."
    yield from ("", "| bound of the gate | measured |", "|---|---|")
    for check in verdict["checks"]:
        yield f"| `{check['bound']}` | {check['measured']:.3g} |"
    yield from ("", "| what it asks of the robot | |", "|---|---|")
    torque = f"{hardest['torque']:.3g} N m in `{hardest['joint']}`, {hardest['torque_use']:.0%} of its limit"
    power = (
        f"{demands['power']:.3g} W at {demands['speed']:.2g} m/s, cost of transport {demands['cost_of_transport']:.2g}"
    )
    steps = f"{gait['steps_per_second']:.2g} a second, {statistics.mean(gait['duty']):.0%} of the time on the ground"
    yield f"| torque nearest to its limit | {torque} |"
    yield f"| mechanical power | {power} |"
    yield f"| a foot's steps | {steps} |"
    yield f"| change of a joint's target from step to step | {demands['target_change']:.2g} rad |"
    yield from ("", "| strain | survival |", "|---|---|")
    for axis, found in itertools.groupby(exam["sweep"], key=lambda row: row["axis"]):
        rows = list(found)
        if axis == "command":
            yield f"| any of {len(rows)} commands | {min(row['survival_rate'] for row in rows):.0%} |"
        else:
            shown = (f"{row['label']}: {row['survival_rate']:.0%}" for row in rows)
            yield f"| {axis} | {', '.join(shown)} |"
    yield from ("", "What would give trouble on the robot:", "")
    for hazard in exam["hazards"]:
        yield f"- {hazard['what']} ({hazard['measured']}): {hazard['advice']}."
    yield from ("", f"sha256 of the file: `{exam['sha256']}`.")


if __name__ == "__main__":
    document = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text("\n".join(card(document)) + "\n", encoding="utf-8")
