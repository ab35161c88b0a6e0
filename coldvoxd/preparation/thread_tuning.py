"""Measures the fastest number of threads for a prepared model on this machine, while it is idle."""

import time
from collections.abc import Callable, Mapping
from functools import partial

from coldvoxd.core.features import log_mel
from coldvoxd.core.prepared_form import PreparedForm
from coldvoxd.core.values import ModelFiles
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.golden.clip import clip
from coldvoxd.native.processor import physical_cores
from coldvoxd.preparation.cpu_contention import CpuContention

TRIES = 4
PATIENCE = 4
CLEARLY = 0.1
"""Minimum relative advantage of a lower number of threads."""
QUIET = 0.1
"""Maximum share of all processors that other programs may use during a measurement."""
LONG_ENOUGH_S = 0.2
"""Minimum seconds of a measurement, because the kernel counts CPU time in hundredths of a second."""


def fastest_threads(
    files: ModelFiles, form: PreparedForm, tell: Callable[[str], None] = lambda _: None
) -> tuple[int, int]:
    """The fastest numbers of threads for the encoder and the decoder, from the number of cores down by halves.

    A lower number is chosen only if it is clearly faster. Returns 0, which stands for the number of cores, on a machine
    that is always busy: there, fewer threads wait less for others and would seem better than they are.
    """
    candidates = [physical_cores()]
    while candidates[-1] > 1:
        candidates.append(candidates[-1] // 2)
    if len(candidates) == 1:
        return 1, 1
    encoding: dict[int, float | None] = {}
    decoding: dict[int, float | None] = {}
    for threads in candidates:
        recognizer = ParakeetRecognizer.open(files, threads=threads, prepared=form)
        features = log_mel(clip(), recognizer.features_size)
        encoded = recognizer.encode(features)
        encoding[threads] = least_s(partial(recognizer.encode, features))
        decoding[threads] = least_s(partial(recognizer.decode, encoded))
        recognizer.close()
    if None in (*encoding.values(), *decoding.values()):
        tell("the machine was too busy to measure the fastest number of threads: using the number of cores")
    return clearly_fastest(encoding), clearly_fastest(decoding)


def clearly_fastest(seconds: Mapping[int, float | None]) -> int:
    """The fastest number of threads; the highest unless another is faster by `CLEARLY`; 0 if a time is unknown."""
    known = {threads: took for threads, took in seconds.items() if took is not None}
    if len(known) < len(seconds):
        return 0
    most = max(known)
    least = min(known, key=lambda threads: known[threads])
    return least if known[least] < (1 - CLEARLY) * known[most] else most


def least_s(work: Callable[[], object], patience: int = PATIENCE) -> float | None:
    """The minimum of `TRIES` measurements on a mostly idle machine; None if it was never idle for long enough.

    Starts at most `patience` times as many measurements.
    """
    took: list[float] = []
    for _ in range(patience * TRIES):
        company, began_s, times = CpuContention(), time.perf_counter(), 0
        while (spent_s := time.perf_counter() - began_s) < LONG_ENOUGH_S or not times:
            work()
            times += 1
        if company.share <= QUIET:
            took.append(spent_s / times)
        if len(took) == TRIES:
            return min(took)
    return None
