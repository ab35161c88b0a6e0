"""The cost of loading a model: seconds and memory of a new process, with and without its files in the page cache."""

from collections import defaultdict
from collections.abc import Iterator

from contrib.bench.engines import MAPPED, OURS, PLAIN
from contrib.bench.figures import Figure, alone, compared
from contrib.bench.machine import forget_files, remember_files
from contrib.bench.plan import Plan
from contrib.bench.recognition import Runs
from contrib.bench.recordings import speech
from contrib.bench.workers import worker

FIRST_S = 3
"""Seconds of the first recording."""
PEAK_S = 30
WARM = (
    ("load-warm", "load", "s"),
    ("cpu-of-load-warm", "load-cpu", "s"),
    ("first-text-warm", "first-text", "s"),
    ("rss-after-load", "rss", "MiB"),
    ("anonymous-after-load", "anonymous", "MiB"),
    ("peak-after-load", "peak", "MiB"),
    ("peak-at-30s", "peak-30", "MiB"),
)
COLD = (("load-cold", "load", "s"), ("first-text-cold", "first-text", "s"))


def loading(plan: Plan) -> Iterator[Figure]:
    """Measure with the model's files in the page cache."""
    for precision in plan.precisions:
        ours = (MAPPED, PLAIN) if plan.full_size else (MAPPED,)
        runs, texts = _runs(plan, precision, (*plan.engines, *ours), cold=False)
        yield from _against_peers(plan, runs, precision, WARM)
        if PLAIN in texts:
            yield from _prepared(runs, texts, precision)
        for peer in plan.peers:
            mine, theirs = runs[MAPPED]["load"], runs[peer]["load"]
            yield compared(f"ready-warm-{precision}", mine, theirs, peer, "s", full_size=plan.full_size)


def cold_loading(plan: Plan) -> Iterator[Figure]:
    """Measure with an empty page cache (POSIX_FADV_DONTNEED), and compare our first text with that of a warm start."""
    for precision in plan.precisions:
        cold, _ = _runs(plan, precision, plan.engines, cold=True)
        warm, _ = _runs(plan, precision, (OURS,), cold=False)
        yield from _against_peers(plan, cold, precision, COLD)
        mine, theirs = cold[OURS]["first-text"], warm[OURS]["first-text"]
        name = f"first-text-cold-against-warm-{precision}"
        yield compared(name, mine, theirs, "ours, warm", "s", full_size=plan.full_size)


def _runs(plan: Plan, precision: str, engines: tuple[str, ...], *, cold: bool) -> tuple[Runs, dict[str, list[str]]]:
    """Run each engine in a new process, in turn; return the measurements and the texts by engine."""
    runs: Runs = defaultdict(lambda: defaultdict(list))
    texts: dict[str, list[str]] = {}
    read = {directory for engine in engines for directory in plan.files(engine, precision)}
    for directory in read:
        remember_files(directory)
    for _ in range(plan.times):
        for engine in engines:
            for directory in read if cold else ():
                forget_files(directory)
            with worker(engine, plan.directory(engine, precision), precision, plan.numbers("all")) as started:
                opened = started.open()
                memory = started.memory()
                heard = [started.recognize(speech(plan.work, FIRST_S))]
                found = memory | {
                    "load": opened["seconds"],
                    "load-cpu": opened["cpu_s"],
                    "first-text": opened["seconds"] + heard[0]["seconds"],
                }
                if not cold:
                    heard.append(started.recognize(speech(plan.work, PEAK_S)))
                    found["peak-30"] = started.memory()["peak"]
            texts[engine] = [each["text"] for each in heard]
            for key, value in found.items():
                runs[engine][key].append(value)
    return runs, texts


def _prepared(runs: Runs, texts: dict[str, list[str]], precision: str) -> Iterator[Figure]:
    """Compare our prepared form with the published files, and the texts of both and of the form that serves first."""
    for name, key, unit in WARM:
        mine, theirs = runs[OURS][key], runs[PLAIN][key]
        yield compared(f"{name}-{precision}", mine, theirs, "ours, as published", unit, full_size=True)
    for engine, way in ((OURS, "preparation"), (MAPPED, "what-serves-first")):
        others = sum(one != other for one, other in zip(texts[engine], texts[PLAIN], strict=True))
        yield alone(f"other-texts-by-{way}-{precision}", [others], f"of {len(texts[PLAIN])} recordings")


def _against_peers(plan: Plan, runs: Runs, precision: str, rows: tuple[tuple[str, str, str], ...]) -> Iterator[Figure]:
    for name, key, unit in rows:
        for peer in plan.peers:
            mine, theirs = runs[OURS][key], runs[peer][key]
            yield compared(f"{name}-{precision}", mine, theirs, peer, unit, full_size=plan.full_size)
        if not plan.peers:
            yield alone(f"{name}-{precision}", runs[OURS][key], unit)
