"""How many threads are fastest for a prepared model on this machine; told by trials while it is quiet."""

import time
from collections.abc import Callable, Mapping
from functools import partial

from coldvoxd.core.features import log_mel
from coldvoxd.core.values import ModelFiles, PreparedForm
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.golden.clip import clip
from coldvoxd.native.processor import physical_cores
from coldvoxd.preparation.cpu_contention import CpuContention

TRIES = 4
PATIENCE = 4
CLEARLY = 0.1
"""By so much faster fewer threads must be."""
QUIET = 0.1
"""Of all processors, what other programs may take meanwhile."""
LONG_ENOUGH_S = 0.2
"""For the kernel's count of who took what, which is in hundredths of a second."""


def fastest_threads(
    files: ModelFiles, form: PreparedForm, tell: Callable[[str], None] = lambda _: None
) -> tuple[int, int]:
    """With how many the encoder and the decoder are fastest, of as many as there are cores, and fewer by halves.

    Fewer only where that is clearly faster. 0, which stands for as many as there are cores, on a machine that is busy all the
    time: there fewer threads wait for less, and would be taken for good.
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
    """The number of threads that takes least, the most threads unless another is faster by `CLEARLY`; 0 where one is unknown."""
    known = {threads: took for threads, took in seconds.items() if took is not None}
    if len(known) < len(seconds):
        return 0
    most = max(known)
    least = min(known, key=lambda threads: known[threads])
    return least if known[least] < (1 - CLEARLY) * known[most] else most


def least_s(work: Callable[[], object], patience: int = PATIENCE) -> float | None:
    """Of `TRIES` measurements during which the machine did little else; None where it never was quiet for so long.

    `patience` times as many are begun at most.
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
