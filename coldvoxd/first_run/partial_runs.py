"""Words during speech: how much time their runs take, how fast one is stopped, and whether the final text is the same.

An utterance grows in simulated real time, and the runs follow the rules of `dictation/partials`: each takes the time that it really
takes, and the next one starts when the daemon would start it.
"""

import threading
import time
from itertools import pairwise
from statistics import median
from typing import Any

from coldvoxd.core.agreement import Agreement, whole_words
from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import Stopped
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.dictation.partials import LEAST_NEW_MS, SHARE
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.evaluate.noise import Wave
from coldvoxd.first_run import speech
from coldvoxd.first_run.deadline import Deadline, share_of
from coldvoxd.first_run.opened_model import percentile_95

LENGTH_S = 6.0
UTTERANCES = 12
STOP_AFTER = 0.5
"""Share of a run's usual time after which it is stopped."""


def partials(recognizer: ParakeetRecognizer, deadline: Deadline) -> dict[str, Any]:
    """Recognize growing utterances. Raises ProviderFault."""
    runs, run_s, audio_s, changed, words, same, done = 0, 0.0, 0.0, 0, 0, 0, 0
    stops_s: list[float] = []
    numbers = range(UTTERANCES)
    for number in deadline.each(numbers):
        one = speech.strung(LENGTH_S, number, 0.2)
        alone = recognizer.recognize_samples(one.wave)
        shown, times_s = _grown(recognizer, one.wave)
        stops_s.append(_stopped(recognizer, one.wave, alone.inference_s))
        final = recognizer.recognize_samples(one.wave)
        same += (final.text, final.tokens) == (alone.text, alone.tokens)
        changed += sum(_lacking(before, after) for before, after in pairwise([*shown, final.text.split()]))
        words += len(final.words)
        runs += len(times_s)
        run_s += sum(times_s)
        audio_s += len(one.wave) / SAMPLE_RATE
        done += 1
    return {
        "utterances": done,
        "audio_s": round(audio_s, 1),
        "runs": runs,
        "time_share": round(run_s / audio_s, 3),
        "run_s": round(run_s / runs, 3) if runs else None,
        "changed_words": changed,
        "final_words": words,
        "final_same": same,
        "stop_p50_s": round(median(stops_s), 4),
        "stop_p95_s": round(percentile_95(stops_s), 4),
        "part": share_of(done, numbers),
    }


def _grown(recognizer: ParakeetRecognizer, wave: Wave) -> tuple[list[list[str]], list[float]]:
    """Return the words that are shown after each run, and the time of each."""
    end_s, now_s, heard_s, not_before_s = len(wave) / SAMPLE_RATE, 0.0, 0.0, 0.0
    agreement = Agreement()
    shown, times_s = [], []
    while (now_s := max(now_s, heard_s + LEAST_NEW_MS / 1000, not_before_s)) < end_s:
        found = recognizer.recognize_samples(wave[: round(now_s * SAMPLE_RATE)])
        times_s.append(found.inference_s)
        agreement = agreement.with_hypothesis(whole_words(found, now_s))
        shown.append([*agreement.stable, *agreement.rest])
        heard_s, not_before_s = now_s, now_s + found.inference_s / SHARE
        now_s += found.inference_s
    return shown, times_s


def _stopped(recognizer: ParakeetRecognizer, wave: Wave, usual_s: float) -> float:
    """Return the seconds from stopping a run, in its middle, to its end."""
    stop, asked_s = CancellationToken(), [0.0]

    def ask() -> None:
        asked_s[0] = time.perf_counter()
        stop.ask()

    timer = threading.Timer(STOP_AFTER * usual_s, ask)
    timer.start()
    try:
        recognizer.recognize_samples(wave, stop=stop)
    except Stopped:
        return time.perf_counter() - asked_s[0]
    finally:
        timer.cancel()
        timer.join()
    return max(0.0, time.perf_counter() - asked_s[0]) if asked_s[0] else 0.0  # it ended before


def _lacking(before: list[str], after: list[str]) -> int:
    """Return the number of shown words that the next words do not have at their place."""
    return sum(
        one.strip(".,?!").casefold() != other.strip(".,?!").casefold()
        for one, other in zip(before, after, strict=False)
    )
