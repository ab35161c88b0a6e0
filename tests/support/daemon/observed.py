"""The daemon, observed: serves like coldvoxd, and records which of the captured audio each session heard.

Run it as a module, with COLDVOX_TEST_OBSERVED set to the file that gets one JSON object per session: see `Observation`.
"""

import asyncio
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from coldvoxd import settings_file
from coldvoxd.assembly.build import build
from coldvoxd.assembly.parts import Parts
from coldvoxd.bus.connection import Connection
from coldvoxd.command import set_up_logging
from coldvoxd.core import endpointing
from coldvoxd.core.audio_values import Frame, Gap
from coldvoxd.core.endpointing import EndpointState
from coldvoxd.core.framing import joined
from coldvoxd.core.ports import Journal
from coldvoxd.core.spool_format import SpooledSession
from coldvoxd.core.values import FRAME_SAMPLES, SAMPLE_RATE, Utterance
from coldvoxd.daemon import Daemon
from tests.support.daemon.preroll import FILE_VARIABLE, Observation

KEPT_FRAMES = 120 * SAMPLE_RATE // FRAME_SAMPLES


def observe(parts: Parts, file: Path) -> None:
    """Compare the audio at two places: where it leaves the capture, and where it enters a session's journal."""
    captured: deque[Frame] = deque(maxlen=KEPT_FRAMES)
    observing = _Observing(captured, file)
    on_item, keep_in = parts.audio.capture._on_item, parts.dictation.keep_in

    def note_item(item: Frame | Gap) -> None:
        if isinstance(item, Frame):
            captured.append(item)
        on_item(item)

    parts.audio.capture._on_item = note_item
    parts.dictation.keep_in = lambda journal: keep_in(observing.over(journal))  # type: ignore[method-assign]


class _Observing:
    """A Journal that wraps another one."""

    def __init__(self, captured: deque[Frame], file: Path) -> None:
        self._captured = captured
        self._file = file
        self._journal: Journal
        self._open: dict[int, Observation] = {}
        self._heard: dict[int, list[int]] = {}

    def over(self, journal: Journal) -> "_Observing":
        self._journal = journal
        return self

    def begin(self, session: SpooledSession, state: EndpointState) -> None:
        self._open[session.id] = Observation(session.id, session.start_sample, state.floor_sample)
        self._heard[session.id] = []
        self._journal.begin(session, state)

    def heard(self, session: int, event: endpointing.Event, frame: Frame | None) -> None:
        if frame is not None and session in self._heard:
            self._heard[session].append(frame.start_sample)
        self._journal.heard(session, event, frame)

    def cut(self, utterance: Utterance, decided_s: float, state: EndpointState, audio: Iterable[Frame]) -> None:
        end_sample = utterance.start_sample + len(utterance.samples)
        captured = joined(self._captured, utterance.start_sample, end_sample)
        observation = self._open[utterance.session_id]
        observation.utterances.append(utterance.start_sample)
        observation.altered += not np.array_equal(captured, utterance.samples)
        self._journal.cut(utterance, decided_s, state, audio)

    def end(self, session: int) -> None:
        observation = self._open.pop(session, None)
        if observation is not None:
            heard = self._heard.pop(session)
            until = heard[-1] if heard else observation.start_sample
            due = [f.start_sample for f in self._captured if f.end_sample > observation.floor_sample]
            observation.heard = len(heard)
            observation.heard_before_start = sum(sample < observation.start_sample for sample in heard)
            observation.missing = [sample for sample in due if sample <= until and sample not in heard]
            observation.in_order = heard == sorted(heard)
            with self._file.open("a") as file:
                file.write(observation.encoded())
        self._journal.end(session)

    def forget(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:
        self._journal.forget(session, state, audio)

    def rewind(self, session: int, state: EndpointState, audio: Iterable[Frame]) -> None:
        self._journal.rewind(session, state, audio)

    def attempt(self, session: int, utterance: int) -> None:
        self._journal.attempt(session, utterance)

    def survived(self, session: int, utterance: int) -> None:
        self._journal.survived(session, utterance)

    def pending_mark(self, session: int, utterance: int, mark: str) -> None:
        self._journal.pending_mark(session, utterance, mark)

    def settled(self, session: int, utterance: int) -> None:
        self._journal.settled(session, utterance)


async def serve() -> None:
    chosen = settings_file.load(None)
    set_up_logging(chosen.log.level)
    parts = build(chosen, await Connection.open(), lambda: settings_file.load(None))
    observe(parts, Path(os.environ[FILE_VARIABLE]))
    await Daemon(parts).serve()


if __name__ == "__main__":
    asyncio.run(serve())
