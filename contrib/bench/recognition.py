"""Recognition time: all engines loaded side by side, and queried in turn, A B C A B C."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from contrib.bench.engines import ONNX_ASR, OURS
from contrib.bench.figures import Figure, alone, compared
from contrib.bench.plan import Plan
from contrib.bench.recordings import speech
from contrib.bench.workers import Worker, worker

LONG_TIMES = 2
BREATH_S = 0.1
"""Pause before each run: the peers' threads spin for a while after a run, which would slow down the next engine."""
BASE_S = 30
"""Length in seconds of the recording with which long audio is compared."""

Runs = dict[str, dict[str, list[float]]]
"""Measurements by engine and quantity."""


def recognition(plan: Plan) -> Iterator[Figure]:
    """Measure short recordings: seconds, CPU seconds, the decoder's part, and texts unlike the reference's."""
    for precision in plan.precisions:
        for threads in plan.threads:
            yield from _side_by_side(plan, precision, threads)


def _side_by_side(plan: Plan, precision: str, threads: str) -> Iterator[Figure]:
    full_size = plan.full_size
    other_texts = compared_texts = 0
    with ExitStack() as stack:
        workers = [
            stack.enter_context(worker(engine, plan.directory(engine, precision), precision, plan.numbers(threads)))
            for engine in plan.engines
        ]
        for started in workers:
            started.open()
        for seconds in plan.seconds:
            suffix = f"{seconds}s-{precision}-{threads}"
            runs, texts = _in_turn(workers, speech(plan.work, seconds), plan.times)
            for peer in plan.peers:
                for figure, key in (("recognize", "seconds"), ("recognize-cpu", "cpu_s")):
                    name = f"{figure}-{suffix}"
                    yield compared(name, runs[OURS][key], runs[peer][key], peer, "s", full_size=full_size)
            if ONNX_ASR in runs:
                mine, theirs = (runs[engine]["decoder_s"] for engine in (OURS, ONNX_ASR))
                yield compared(f"decoder-{suffix}", mine, theirs, ONNX_ASR, "s", full_size=full_size)
                compared_texts += 1
                other_texts += texts[OURS] != texts[ONNX_ASR]
    if compared_texts:
        name = f"other-texts-{precision}-{threads}-than-{ONNX_ASR}"
        yield alone(name, [other_texts], f"of {compared_texts} recordings")


def long_audio(plan: Plan) -> Iterator[Figure]:
    """Measure a long recording: time per second against 30 s of audio and against the peers, and retained memory."""
    full_size = plan.full_size
    for precision in plan.precisions:
        for threads in plan.threads:
            suffix = f"{precision}-{threads}"
            long, base = speech(plan.work, plan.long_s), speech(plan.work, BASE_S)
            runs: Runs = defaultdict(lambda: defaultdict(list))
            for engine in plan.engines:  # one after the other: each takes gigabytes
                with worker(engine, plan.directory(engine, precision), precision, plan.numbers(threads)) as started:
                    started.open()
                    started.transcribe(base)
                    for _ in range(min(LONG_TIMES, plan.times)):
                        runs[engine]["base"].append(started.transcribe(base)["seconds"] / BASE_S)
                        runs[engine]["after-base"].append(started.memory()["rss"])
                        runs[engine]["long"].append(started.transcribe(long)["seconds"] / plan.long_s)
                        runs[engine]["after-long"].append(started.memory()["rss"])
                    runs[engine]["peak"].append(started.memory()["peak"])
            for name, one, other, unit in (
                (f"second-of-{plan.long_s}s", "long", "base", "s"),
                (f"memory-after-{plan.long_s}s", "after-long", "after-base", "MiB"),
            ):
                mine, before = runs[OURS][one], runs[OURS][other]
                yield compared(f"{name}-{suffix}", mine, before, f"ours, {BASE_S} s", unit, full_size=full_size)
            for peer in plan.peers:
                name, mine, theirs = (
                    f"recognize-second-of-{plan.long_s}s-{suffix}",
                    runs[OURS]["long"],
                    runs[peer]["long"],
                )
                yield compared(name, mine, theirs, peer, "s", full_size=full_size)
                name, mine, theirs = f"peak-at-{plan.long_s}s-{suffix}", runs[OURS]["peak"], runs[peer]["peak"]
                yield compared(name, mine, theirs, peer, "MiB", full_size=full_size)


def _in_turn(workers: list[Worker], recording: Path, times: int) -> tuple[Runs, dict[str, str]]:
    """Return the measurements of each engine, after one warm-up run, and its text."""
    runs: Runs = defaultdict(lambda: defaultdict(list))
    texts = {each.name: each.recognize(recording)["text"] for each in workers}
    for _ in range(times):
        for each in workers:
            time.sleep(BREATH_S)
            answer = each.recognize(recording)
            for key in ("seconds", "cpu_s", "decoder_s"):
                if answer[key] is not None:
                    runs[each.name][key].append(answer[key])
    return runs, texts
