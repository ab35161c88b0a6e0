"""Hangovers and seams: sessions are dictated with each value of a setting, all values of one session before the next one."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from coldvoxd.core.ports import Recognizer
from coldvoxd.core.seams import SeamMethod, SeamRules
from coldvoxd.core.settings import Settings
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.evaluate.bootstrap import Bootstrap, Unit
from coldvoxd.evaluate.comparing import POINTS
from coldvoxd.evaluate.noise import Wave
from coldvoxd.evaluate.scoring import Counts
from coldvoxd.evaluate.sessions import dictate, heard, room
from coldvoxd.evaluate.tuning import AFTER_S, BEFORE_S, HANGOVERS_MS, PAUSES_S, Row, Spoken, Tuner
from coldvoxd.first_run import speech
from coldvoxd.first_run.deadline import Deadline, share_of
from coldvoxd.vad.silero import SileroDetector

_DRAWS = Bootstrap(Unit.UTTERANCES)


def pauses(recognizer: Recognizer, settings: Settings, model_method: SeamMethod, deadline: Deadline) -> dict[str, Any]:
    """Dictate pairs of recordings, as they are and with pauses inside them, with each hangover and each method of seams.

    `model_method` is what `seam = "auto"` means for the model. Raises ProviderFault.
    """
    rules = SeamRules.of(settings.dictation.seam, model_method, settings.dictation.seam_s)
    tuner = Tuner(recognizer, SileroDetector(), speech.scorer(), endpoint=settings.endpoint, rules=rules)
    spoken = _listened(tuner)
    hangovers = sorted({*HANGOVERS_MS, settings.endpoint.hangover_ms})
    by_hangover: dict[int, list[Row]] = {value: [] for value in hangovers}
    by_method: dict[SeamMethod, list[Row]] = {method: [] for method in SeamMethod}
    cases = [(pair, pause_s) for pair in pairwise(range(len(speech.recordings()))) for pause_s in PAUSES_S]
    done = 0
    for (first, second), pause_s in deadline.each(cases):
        pair = (spoken(first), spoken(second))
        done += 1
        if any(len(one.alone.words) < 2 for one in pair):
            continue
        session = [(pair, tuner.session(pair, pause_s))]
        for hangover_ms, rows in by_hangover.items():
            rows.append(tuner.row(session, replace(settings.endpoint, hangover_ms=hangover_ms), rules))
        for method, rows in by_method.items():
            same = method is rules.method
            now = by_hangover[settings.endpoint.hangover_ms][-1]
            rows.append(now if same else tuner.row(session, settings.endpoint, replace(rules, method=method)))
    return {
        "sessions": len(by_method[rules.method]),
        "now": {
            "hangover_ms": settings.endpoint.hangover_ms,
            "seam": settings.dictation.seam,
            "method": str(rules.method),
        },
        "model_method": str(model_method),
        "hangover": _table(by_hangover, settings.endpoint.hangover_ms),
        "seam": _table(by_method, rules.method),
        "part": share_of(done, cases),
    }


def page(
    recognizer: Recognizer, settings: Settings, wave: Wave, model_method: SeamMethod, deadline: Deadline
) -> dict[str, Any]:
    """Dictate what the user read with each hangover; return word errors, and no text. Raises ProviderFault."""
    rules = SeamRules.of(settings.dictation.seam, model_method, settings.dictation.seam_s)
    spoken = heard(np.concatenate((room(BEFORE_S), wave, room(AFTER_S))), SileroDetector())
    now = settings.endpoint.hangover_ms
    rows = []
    for hangover_ms in deadline.each([now, *(value for value in HANGOVERS_MS if value != now)]):
        dictated = dictate(spoken, recognizer, replace(settings.endpoint, hangover_ms=hangover_ms), rules)
        counts = speech.counted(speech.page(), dictated.text)
        rows.append(
            {
                "value": hangover_ms,
                "words": counts.words,
                "errors": counts.errors,
                "wer": round(POINTS * counts.rate, 2),
                "utterances": dictated.utterances,
                "recognition_s": round(dictated.recognition_s, 2),
            }
        )
    return {
        "audio_s": round(len(wave) / SAMPLE_RATE, 1),
        "now_ms": now,
        "hangover": rows,
        "part": share_of(len(rows), {now, *HANGOVERS_MS}),
    }


def _listened(tuner: Tuner) -> Callable[[int], Spoken]:
    """Return a function that recognizes a recording by itself, at its first use."""
    known: dict[int, Spoken] = {}

    def listened(number: int) -> Spoken:
        if number not in known:
            one = speech.recordings()[number]
            known[number] = tuner.listen(one.wave, one.said)
        return known[number]

    return listened


def _table(rows: dict[Any, list[Row]], now: Any) -> list[dict[str, Any]]:
    """Return one row per value, with its errors and marks against those of the value in force, session by session."""
    costs = {value: [_cost(row) for row in sessions] for value, sessions in rows.items()}
    table = []
    for value, sessions in rows.items():
        if not sessions:
            continue
        total = sum(sessions[1:], sessions[0])
        interval = _DRAWS.difference(costs[now], costs[value], [""] * len(sessions))
        rate = sum(costs[value], Counts()).rate - sum(costs[now], Counts()).rate
        table.append(
            {
                "value": str(value),
                "utterances": total.utterances,
                "words": total.total.words,
                "errors": total.total.errors,
                "marks": total.marks,
                "points": round(POINTS * rate, 2),
                "interval": [round(POINTS * interval.low, 2), round(POINTS * interval.high, 2)],
                "recognition_s": round(total.recognition_s, 3),
                "seam_s": round(total.seam_s, 3),
            }
        )
    return table


def _cost(row: Row) -> Counts:
    """Return errors and marks together: each is one word that a person must correct."""
    return Counts(row.total.words, row.cost)
