"""Starts dictations in the middle of speech, with several daemons at once: see preroll-starts.sh."""

import argparse
import asyncio
import contextlib
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.values import SAMPLE_RATE  # noqa: E402 - the checkout's own
from tests.support.daemon.preroll import BEFORE_S, DURING_S, Company, Starts, speaking, start_in_mid_speech  # noqa: E402
from tests.support.sound.servers import running  # noqa: E402

SHARE_RECOGNIZED = 0.25
"""Share of the sessions that are recognized, since all would overload a small machine. The audio of all is compared."""
HEAD = ("daemon", "starts", "in mid-speech", "whole pre-roll", "frames refused", "audio gaps", "without text")


async def _all(starts: int, daemons: int, seed: int) -> list[Starts]:
    with running() as server, speaking(server):
        company = Company(daemons, SHARE_RECOGNIZED)
        each = (start_in_mid_speech(server, starts // daemons, seed + number, company) for number in range(daemons))
        return await asyncio.gather(*each)


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "HEAD") + (" with uncommitted changes" if changed else "")


def _row(name: str, found: list[Starts]) -> str:
    observations = [observation for starts in found for observation in starts.observations]
    cells = (
        name,
        len(observations),
        sum(observation.heard_before_start > 0 for observation in observations),
        sum(observation.kept for observation in observations),
        sum(starts.refused for starts in found),
        sum(starts.gaps for starts in found),
        sum(starts.wordless for starts in found),
    )
    return f"| {' | '.join(map(str, cells))} |"


def _failures(found: list[Starts]) -> list[str]:
    return [
        f"- daemon {number}, session {session.session}: {len(session.missing)} frames missing, "
        f"{session.altered} utterances altered, {'in' if session.in_order else 'out of'} order"
        for number, starts in enumerate(found, 1)
        for session in starts.observations
        if not session.kept
    ]


def _report(found: list[Starts], seed: int, took_s: float, load: tuple[float, float, float]) -> str:
    reaches = sorted(
        (session.start_sample - session.floor_sample) / SAMPLE_RATE for one in found for session in one.observations
    )
    command = f"contrib/trials/preroll-starts.sh --starts {len(reaches)} --daemons {len(found)} --seed {seed}"
    reach = f"{reaches[0]:.2f} to {reaches[-1]:.2f} s, in the median {reaches[len(reaches) // 2]:.2f} s"
    verdict = "\n".join(_failures(found)) or "Every start kept its pre-roll."
    rows = "\n".join(_row(str(number), [starts]) for number, starts in enumerate(found, 1))
    return f"""\
# Starts in mid-speech

Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Commit: {_commit()}. Command: `{command}`.

Python {platform.python_version()}, {os.cpu_count()} CPUs, load average {load[0]:.1f} (1 minute) and {load[1]:.1f}
(5 minutes) at the end; took {took_s:.0f} s.

{len(found)} daemons at once on one PulseAudio server, which plays speech without pauses. Each start comes {BEFORE_S[0]} to
{BEFORE_S[1]} s after the last stop, each stop {DURING_S[0]} to {DURING_S[1]} s after its start. A session has its whole pre-roll
where every captured frame from the sample to which it reaches back was heard, once and in order, and each utterance sent
to recognition equals the captured samples. The text of {SHARE_RECOGNIZED:.0%} of the sessions is waited for, the others are
cancelled once their utterance is cut. The sessions reached back {reach}.

| {" | ".join(HEAD)} |
|{"---|" * len(HEAD)}
{rows}
{_row("all", found)}

{verdict}
"""


def main() -> int:
    """Run the trial; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=1000)
    parser.add_argument("--daemons", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    began_s = time.monotonic()
    with contextlib.redirect_stdout(sys.stderr):  # logs
        found = asyncio.run(_all(arguments.starts, arguments.daemons, arguments.seed))
    report = _report(found, arguments.seed, time.monotonic() - began_s, os.getloadavg())
    print(report, end="")
    if arguments.report is not None:
        arguments.report.parent.mkdir(parents=True, exist_ok=True)
        arguments.report.write_text(report, encoding="utf-8")
    refused = sum(starts.refused for starts in found)
    complete = (
        sum(len(starts.observations) for starts in found) == arguments.starts // arguments.daemons * arguments.daemons
    )
    return 0 if complete and not refused and not _failures(found) else 1


if __name__ == "__main__":
    sys.exit(main())
