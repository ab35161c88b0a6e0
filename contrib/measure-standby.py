"""Measures how the CPU stands by while an accelerator serves: memory at rest, first text after the accelerator failed.

.venv/bin/python contrib/measure-standby.py [--model mini] [--times 5]

Prints Markdown. No GPU takes part: the accelerator is a second recognizer on the CPU that is closed under the
supervisor's hands, so its memory is in every row. Each figure is of processes of their own; the median counts.
"""

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from coldvoxd.asr.parakeet import ParakeetRecognizer  # noqa: E402 - the checkout's own
from coldvoxd.core.values import EndReason, EngineStatus, Precision, Utterance  # noqa: E402
from coldvoxd.golden import clip  # noqa: E402
from coldvoxd.ladder import Ladder  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from coldvoxd.standby import Readiness  # noqa: E402
from coldvoxd.supervisor import Supervisor  # noqa: E402

PATIENCE_S = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini", help="a name or a directory")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--one", choices=[*Readiness], help="measure once, in this process, and print JSON")
    arguments = parser.parse_args()
    if arguments.one:
        logging.disable(logging.CRITICAL)
        print(json.dumps(asyncio.run(measure(arguments.model, Readiness(arguments.one)))))
        return 0
    print("| standby | memory at rest (RSS) | first text after the failure | the next |", "|---|---|---|---|", sep="\n")
    for readiness in Readiness:
        command = [sys.executable, __file__, "--model", arguments.model, "--one", readiness]
        runs = [
            json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            for _ in range(arguments.times)
        ]
        rss, first, later = (statistics.median(run[name] for run in runs) for name in ("rss", "first_s", "later_s"))
        print(f"| `{readiness}` | {rss / 2**20:.0f} MiB | {first * 1000:.0f} ms | {later * 1000:.0f} ms |", flush=True)
    return 0


async def measure(model: str, readiness: Readiness) -> dict[str, float]:
    """Resident bytes at rest, and seconds to the first text and to one well after it."""
    files = find_model(model, Precision.FP32)
    accelerators: list[ParakeetRecognizer] = []

    def accelerator() -> ParakeetRecognizer:
        accelerators.append(ParakeetRecognizer.open(files))
        return accelerators[-1]

    ladder = Ladder(
        lambda: ParakeetRecognizer.open(files),
        accelerator,
        "accelerator",
        readiness=readiness,
        cpu_mapped=lambda: ParakeetRecognizer.open(files, packed=False),
    )
    supervisor = Supervisor(ladder, EngineStatus(model=model))
    utterance = Utterance(1, 1, 0, clip(), EndReason.ENDPOINT)

    async def hear() -> float:
        begun_s = time.perf_counter()
        await supervisor.recognize(utterance)
        return time.perf_counter() - begun_s

    await supervisor.load()
    await _until(lambda: supervisor.on_accelerator and supervisor.at_rest)
    await hear()
    rss = _rss()
    accelerators[-1].close()
    first_s = await hear()
    await _until(lambda: supervisor.at_rest)
    await hear()
    later_s = await hear()
    supervisor.close()
    return {"rss": rss, "first_s": first_s, "later_s": later_s}


async def _until(probe: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not probe():
        if time.monotonic() > deadline_s:
            raise SystemExit("the model could not be loaded in time")
        await asyncio.sleep(0.02)


def _rss() -> int:
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


if __name__ == "__main__":
    sys.exit(main())
