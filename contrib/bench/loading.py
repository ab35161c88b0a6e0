"""What it costs to have a model ready: seconds and memory of a new process, with its files in memory and without."""

from collections import defaultdict
from collections.abc import Iterator

from contrib.bench.engines import MAPPED, OURS
from contrib.bench.figures import Figure, alone, compared
from contrib.bench.machine import forget_files, remember_files
from contrib.bench.plan import Plan
from contrib.bench.recognition import Runs
from contrib.bench.recordings import speech
from contrib.bench.workers import worker

FIRST_S = 3
"""The first thing that is said."""
PEAK_S = 30
WARM = (
    ("load-warm", "load", "s"),
    ("load-warm-cpu", "load-cpu", "s"),
    ("first-text-warm", "first-text", "s"),
    ("rss-after-load", "rss", "MiB"),
    ("anonymous-after-load", "anonymous", "MiB"),
    ("peak-after-load", "peak", "MiB"),
    ("peak-at-30s", "peak-30", "MiB"),
)
COLD = (("load-cold", "load", "s"), ("first-text-cold", "first-text", "s"))


def loading(plan: Plan) -> Iterator[Figure]:
    """With the model's files in memory."""
    for precision in plan.precisions:
        runs = _runs(plan, precision, (*plan.engines, MAPPED), plan.times, cold=False)
        yield from _against_peers(plan, runs, precision, WARM)
        for peer in plan.peers:
            mine, theirs = runs[MAPPED]["load"], runs[peer]["load"]
            yield compared(f"ready-warm-{precision}", mine, theirs, peer, "s", full_size=plan.full_size)


def cold_loading(plan: Plan) -> Iterator[Figure]:
    """With nothing of them in memory (POSIX_FADV_DONTNEED), and our own first text against a warm one."""
    for precision in plan.precisions:
        cold = _runs(plan, precision, plan.engines, plan.times, cold=True)
        warm = _runs(plan, precision, (OURS,), plan.times, cold=False)
        yield from _against_peers(plan, cold, precision, COLD)
        mine, theirs = cold[OURS]["first-text"], warm[OURS]["first-text"]
        name = f"first-text-cold-against-warm-{precision}"
        yield compared(name, mine, theirs, "ours, warm", "s", full_size=plan.full_size)


def _runs(plan: Plan, precision: str, engines: tuple[str, ...], times: int, *, cold: bool) -> Runs:
    """Each engine in a new process, in turn."""
    runs: Runs = defaultdict(lambda: defaultdict(list))
    for _ in range(times):
        for engine in engines:
            directory = plan.directory(engine, precision)
            (forget_files if cold else remember_files)(directory)
            with worker(engine, directory, precision, plan.numbers("all")) as started:
                opened = started.open()
                memory = started.memory()
                first = started.recognize(speech(plan.work, FIRST_S))
                found = memory | {
                    "load": opened["seconds"],
                    "load-cpu": opened["cpu_s"],
                    "first-text": opened["seconds"] + first["seconds"],
                }
                if not cold:
                    started.recognize(speech(plan.work, PEAK_S))
                    found["peak-30"] = started.memory()["peak"]
            for key, value in found.items():
                runs[engine][key].append(value)
    return runs


def _against_peers(plan: Plan, runs: Runs, precision: str, rows: tuple[tuple[str, str, str], ...]) -> Iterator[Figure]:
    for name, key, unit in rows:
        for peer in plan.peers:
            mine, theirs = runs[OURS][key], runs[peer][key]
            yield compared(f"{name}-{precision}", mine, theirs, peer, unit, full_size=plan.full_size)
        if not plan.peers:
            yield alone(f"{name}-{precision}", runs[OURS][key], unit)
