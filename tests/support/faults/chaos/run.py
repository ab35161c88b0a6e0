"""The chaos run: `python -m tests.support.faults.chaos.run --seed 1 --steps 200`; contrib/chaos.sh sets up first.

Steps from a seed (see `plan`) act on a real daemon with the bundled model on a private message bus, which records from
a private PulseAudio server or the shipped virtual microphone and recognizes on the shipped virtual accelerator.
Sentences are played throughout. Every twenty steps all faults are ended, and then everything must be as at the
beginning and every sentence accounted for (see `ledger`).
"""

import argparse
import asyncio
import dataclasses
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.bus.private_bus import BROKER, DAEMON
from tests.support.faults.broken_daemon import Fault
from tests.support.faults.chaos.plan import CHECKPOINT, Source, Step, first_source, plan
from tests.support.faults.chaos.stage import Stage, forbidden_in_log
from tests.support.faults.chaos.steps import Steps

MORE_DESCRIPTORS = 6
MORE_THREADS = 6
"""Allowed growth since the first check: a device call that hung leaves a thread, and a session that has just ended
leaves a file, for some seconds. A leak per fault exceeds it within 200 steps, in which each kind occurs ten times."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a run."""

    seconds: int
    done: dict[str, int]
    """Number of steps by name."""
    published: int
    """Number of sentences, each published exactly once and in order."""
    unhearable: dict[str, int]
    """Number of unpublished sentences, by the step that cost them; the daemon reported the loss."""
    losses_reported: int
    """Faults of the microphone longer than two seconds that the daemon had to report, and did."""
    exit_codes: dict[str, int]
    held: dict[str, list[tuple[int, int]]]
    """Descriptors and threads at each checkpoint, by the microphone in use."""
    faults: list[str]

    @property
    def passed(self) -> bool:
        return not self.faults


def replay_command(seed: int, steps: int, bus: str) -> str:
    return f"./contrib/chaos.sh --seed {seed} --steps {steps} --bus {bus}"


async def chaos(seed: int, steps: int, bus: str = DAEMON, *, keep_log: Path | None = None) -> Outcome:
    """Play the seed's steps. The first fault ends the run at the next check; its log is printed."""
    outcome = await play(plan(seed, steps), first_source(seed), bus, keep_log=keep_log)
    if not outcome.passed:
        _log(f"== steps done: {sum(outcome.done.values())}; to replay: {replay_command(seed, steps, bus)}")
    return outcome


async def play(
    steps: Sequence[Step],
    source: Source,
    bus: str = DAEMON,
    *,
    broken: Fault | None = None,
    keep_log: Path | None = None,
) -> Outcome:
    """Play these steps, up to the first checkpoint with an error."""
    began_s = time.monotonic()
    done: list[Step] = []
    with tempfile.TemporaryDirectory(prefix="coldvox-chaos-") as place:
        async with Stage(Path(place), source, bus, broken) as stage:
            acts = Steps(stage)
            try:
                for number, step in enumerate(steps, 1):
                    at_s = time.monotonic() - began_s
                    _log(f"{number:4} {at_s:6.1f} s  {step}")
                    stage.daemon.note(f"step {number}: {step.name} {step.choice}".rstrip())
                    done.append(step)
                    await acts.perform(step)
                    if acts.faults and step.name == CHECKPOINT:
                        break
            except Exception as error:  # noqa: BLE001 - reported, with the steps and the log
                acts.faults.append(f"{type(error).__name__}: {error}")
            log = stage.daemon.log
            exits = Counter(map(str, stage.daemon.exits))
        log_of_end = Path(place, "log").read_text(errors="replace")
    acts.faults += [f"the log holds spoken text: {said!r}" for said in forbidden_in_log(log_of_end)]
    for held in acts.held.values():
        acts.faults += grown("descriptors", [descriptors for descriptors, _ in held], MORE_DESCRIPTORS)
        acts.faults += grown("threads", [threads for _, threads in held], MORE_THREADS)
    if keep_log is not None:
        keep_log.write_text(log_of_end)
    if acts.faults:
        _log(f"== the daemon's log, last part:\n{log[-20000:]}")
        _log("== faults:\n" + "\n".join(acts.faults))
    return Outcome(
        round(time.monotonic() - began_s),
        dict(Counter(step.name for step in done).most_common()),
        acts.ledger.published,
        acts.ledger.unhearable,
        acts.microphone.reported,
        dict(exits),
        {source.value: held for source, held in acts.held.items()},
        acts.faults,
    )


def grown(what: str, figures: list[int], allowed: int) -> list[str]:
    """Return an error if a figure at a check exceeds the first one by more than `allowed`."""
    if not figures or max(figures) <= figures[0] + allowed:
        return []
    return [f"{what} grew from {figures[0]} to {max(figures)}: {figures}"]


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--bus", choices=(DAEMON, BROKER), default=DAEMON)
    parser.add_argument("--log", type=Path, help="write the daemon's whole log to this file")
    parser.add_argument("--list", action="store_true", help="print the steps and carry out none")
    try:
        arguments = parser.parse_args()
    except SystemExit as end:
        return 64 if end.code else 0  # EX_USAGE
    if arguments.list:
        for number, step in enumerate(plan(arguments.seed, arguments.steps), 1):
            print(f"{number:4}  {step}")
        return 0
    outcome = asyncio.run(chaos(arguments.seed, arguments.steps, arguments.bus, keep_log=arguments.log))
    asked = {"seed": arguments.seed, "steps": arguments.steps, "bus": arguments.bus}
    print(json.dumps(asked | dataclasses.asdict(outcome) | {"passed": outcome.passed}, indent=2))
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
