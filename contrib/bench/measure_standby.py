"""Measures the CPU standby while an accelerator serves: memory at rest, first text after the accelerator failed.

.venv/bin/python contrib/bench/measure_standby.py [--model mini] [--precision fp32 int8] [--readiness warm mapped cold]
[--times 3]

Prints Markdown. No GPU is used: the bundled model `mini` on the CPU represents the accelerator, with weights in its own
memory, and is closed while the supervisor uses it. Each figure is the median over separate processes.
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

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.core.errors import ProviderUnavailable  # noqa: E402
from coldvoxd.core.values import EndReason, EngineStatus, Precision, Utterance  # noqa: E402
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer  # noqa: E402 - the checkout's own
from coldvoxd.golden.clip import clip  # noqa: E402
from coldvoxd.models import find_model  # noqa: E402
from coldvoxd.models.directories import BUNDLED  # noqa: E402
from coldvoxd.recognition.backends import Backends  # noqa: E402
from coldvoxd.recognition.cpu_standby import Readiness  # noqa: E402
from coldvoxd.recognition.supervisor import Supervisor  # noqa: E402

PATIENCE_S = 300.0
FIGURES = {
    "rss": "memory at rest",
    "own": "of that its own",
    "peak": "at most",
    "first_s": "first text after the failure",
    "later_s": "the next",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=BUNDLED, help="a name or a directory")
    parser.add_argument("--precision", nargs="+", choices=[*Precision], default=[Precision.FP32, Precision.INT8])
    parser.add_argument("--readiness", nargs="+", choices=[*Readiness], default=[*Readiness])
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--one", action="store_true", help="measure once, in this process, and print JSON")
    arguments = parser.parse_args()
    if arguments.one:
        logging.disable(logging.CRITICAL)
        ways = Readiness(arguments.readiness[0]), Precision(arguments.precision[0])
        print(json.dumps(asyncio.run(measure(arguments.model, *ways))))
        return 0
    print(f"| standby | {' | '.join(FIGURES.values())} |", f"|---|{'---|' * len(FIGURES)}", sep="\n")
    for precision in arguments.precision:
        for readiness in arguments.readiness:
            command = [sys.executable, __file__, "--one", "--model", arguments.model]
            command += ["--readiness", readiness, "--precision", precision]
            runs = [
                json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
                for _ in range(arguments.times)
            ]
            cells = [_cell(name, statistics.median(run[name] for run in runs)) for name in FIGURES]
            print(f"| `{readiness}`, {precision} | {' | '.join(cells)} |", flush=True)
    return 0


def _cell(name: str, value: float) -> str:
    return f"{value:.2f} s" if name.endswith("_s") else f"{value / 2**20:.0f} MiB"


async def measure(model: str, readiness: Readiness, precision: Precision) -> dict[str, float]:
    """Return bytes at rest, private bytes, and peak bytes; seconds to the first text and to a later one."""
    files = find_model(model, precision)
    accelerators: list[ParakeetRecognizer] = []

    def accelerator() -> ParakeetRecognizer:
        if accelerators:
            raise ProviderUnavailable("CUDA failure 100: it would come back amid the figures")
        accelerators.append(ParakeetRecognizer.open(find_model(BUNDLED, Precision.FP32)))
        return accelerators[-1]

    backends = Backends(
        lambda: ParakeetRecognizer.open(files),
        accelerator,
        "accelerator",
        readiness=readiness,
        cpu_mapped=lambda: ParakeetRecognizer.open(files, packed=False),
    )
    supervisor = Supervisor(backends, EngineStatus(model=model))
    utterance = Utterance(1, 1, 0, clip(), EndReason.ENDPOINT)

    async def hear() -> float:
        begun_s = time.perf_counter()
        await supervisor.recognize(utterance)
        return time.perf_counter() - begun_s

    await supervisor.load()
    await _until(lambda: supervisor.state.on_accelerator and supervisor._cpu.settled)  # noqa: SLF001 - needs internals
    await hear()
    rest = _memory()
    accelerators[-1].close()
    first_s = await hear()
    await _until(lambda: supervisor._cpu.settled)  # noqa: SLF001 - a measurement needs internals
    await hear()
    later_s = await hear()
    supervisor.close()
    return {
        "rss": rest["VmRSS"],
        "own": rest["RssAnon"],
        "peak": _memory()["VmHWM"],
        "first_s": first_s,
        "later_s": later_s,
    }


async def _until(probe: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not probe():
        if time.monotonic() > deadline_s:
            raise SystemExit("the model could not be loaded in time")
        await asyncio.sleep(0.02)


def _memory() -> dict[str, int]:
    """Return bytes by name, from proc_pid_status(5)."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in lines)
        if "kB" in value
    }


if __name__ == "__main__":
    sys.exit(main())
