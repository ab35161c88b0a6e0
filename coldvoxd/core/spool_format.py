"""The spool's format: a session's audio as records that survive a crash, and their conversion to utterances.

Theory of operation. A session's file begins with a header (the caller, its bus, and the state of the endpointer), is
appended to frame by frame, and is followed by a new file after each cut, so that an utterance's audio can be deleted as
soon as its text is accepted. Reading runs the endpointer again on the same frames with the same scores: it makes the
same cuts, and then those that it would have made. A file may end anywhere, even within a record.
"""

import json
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from coldvoxd.core import endpointing
from coldvoxd.core.audio_values import Frame
from coldvoxd.core.endpoint_effects import Cut, audio_span
from coldvoxd.core.endpointing import EndpointState, Finish, Lost, Scored
from coldvoxd.core.framing import joined
from coldvoxd.core.languages import AUTO
from coldvoxd.core.quiet_place import QuietPlace
from coldvoxd.core.recipients import ends_with_caller, recipient_of
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.core.speech_spans import speech_spans, still_speech
from coldvoxd.core.text_formats import json_value
from coldvoxd.core.values import EndReason, Overlap, SessionOptions, Utterance

MAGIC = b"coldvoxd spool 1\n"
"""The number changes with the format; files with another number are not read."""
_RECORD = struct.Struct("<BII")
"""Kind, length of the payload in bytes, CRC-32 of the payload."""
_FRAME = struct.Struct("<qdd")
"""Start sample, speech probability, level in dBFS; the samples follow."""
_LOST = struct.Struct("<qq")


class _Kind(IntEnum):
    HEAD = 1
    CARRIED = 2
    """A frame that the endpointer had seen before the head was written."""
    HEARD = 3
    LOST = 4
    CUT = 5
    ATTEMPT = 6
    SETTLED = 7
    SURVIVED = 8
    PENDING_MARK = 9


class SpoolDamaged(ValueError):
    """A file without a readable header: it is of another version, foreign, or truncated."""


@dataclass(frozen=True, slots=True)
class SpooledSession:
    """The data of a session that another process needs to finish it."""

    id: int
    caller: str
    """Unique bus name of the client that started it."""
    bus: str
    """GUID of the bus on which that name is valid."""
    options: SessionOptions
    start_sample: int
    endpoint: EndpointSettings

    @property
    def bound(self) -> bool:
        """Whether the session ends when its caller leaves the bus."""
        return ends_with_caller(self.options)

    @property
    def recipient(self) -> str | None:
        """The only client that may read its text; None if every client may."""
        return recipient_of(self.caller, self.options)


@dataclass(frozen=True, slots=True)
class NumberedCut:
    """An utterance that was sent to recognition."""

    utterance: int
    start_sample: int
    end_sample: int
    reason: EndReason
    speech_samples: int
    decided_s: float
    """Monotonic time of the endpoint; comparable across processes."""
    overlap: tuple[int, int] = (0, 0)
    """`Cut.overlap`. Versions before the parts of a cut overlapped write none."""


def numbered(utterance: Utterance, decided_s: float) -> NumberedCut:
    """Return the record of an utterance that was cut at this monotonic time."""
    return NumberedCut(
        utterance.id,
        utterance.own_start_sample,
        utterance.own_end_sample,
        utterance.end_reason,
        utterance.speech_samples,
        decided_s,
        (utterance.overlap.lead, utterance.overlap.tail),
    )


@dataclass(slots=True)
class Segment:
    """The content of one file."""

    session: SpooledSession
    state: EndpointState
    """State before the first of `events`."""
    frames: list[Frame] = field(default_factory=list)
    events: list[Scored | Lost] = field(default_factory=list)
    cuts: list[NumberedCut] = field(default_factory=list)
    attempts: Counter[int] = field(default_factory=Counter)
    """Number of attempts, by utterance."""
    settled: set[int] = field(default_factory=set)
    """Utterances that are finished."""
    pending_marks: dict[int, str] = field(default_factory=dict)
    """The final marks that published texts lack, by utterance, the latest last."""
    whole_bytes: int = 0
    """Length of the readable part; anything after it is the rest of an incomplete write."""

    @property
    def begun_early(self) -> int | None:
        """Number of the utterance whose recognition started before it was cut, or None. It is the next to be cut."""
        return next((number for number in self.attempts if number not in {cut.utterance for cut in self.cuts}), None)

    def utterance(self, cut: Cut | NumberedCut, number: int) -> Utterance:
        start_sample, end_sample = audio_span(cut)
        return Utterance(
            id=number,
            session_id=self.session.id,
            start_sample=start_sample,
            samples=joined(self.frames, start_sample, end_sample),
            end_reason=cut.reason,
            speech_samples=cut.speech_samples,
            speech=speech_spans(self._heard(), start_sample, end_sample),
            language=self.session.options.language or AUTO,
            overlap=Overlap(*cut.overlap),
        )

    def _heard(self) -> Iterator[tuple[int, int, bool]]:
        """Yield first sample and end of each frame, and whether it is speech.

        Carried frames have no probabilities. Those of an utterance that is open in the header are speech: it was cut from another.
        """
        least = still_speech(self.session.endpoint.threshold)
        scored = [event for event in self.events if isinstance(event, Scored)]
        first_sample = scored[0].start_sample if scored else self.state.last_speech_sample
        if self.state.phase is endpointing.Phase.SPEECH:
            for frame in self.frames:
                if self.state.onset_sample < frame.end_sample <= first_sample:
                    yield frame.start_sample, frame.end_sample, True
        for event in scored:
            yield event.start_sample, event.end_sample, event.speech_probability >= least

    def unnumbered(self) -> list[Cut]:
        """Return the cuts that the endpointer makes if the session ends here, except those already numbered."""
        known = {(cut.start_sample, cut.end_sample) for cut in self.cuts}
        end_sample = self.frames[-1].end_sample if self.frames else self.state.floor_sample
        state, found = self.state, []
        for event in (*self.events, Finish(end_sample)):
            state, effects = endpointing.step(state, event, self.session.endpoint)
            found += [effect for effect in effects if isinstance(effect, Cut)]
        return [cut for cut in found if (cut.start_sample, cut.end_sample) not in known]


def head(
    session: SpooledSession,
    state: EndpointState,
    carried: Iterable[Frame] = (),
    pending_marks: Mapping[int, str] | None = None,
) -> bytes:
    """Return the beginning of a file. `carried` are frames that the next utterance may still include.

    `pending_marks` are those of the session's published texts that may still matter, by utterance.
    """
    content = {
        "session": asdict(session),
        "state": asdict(state),
        "pending_marks": list((pending_marks or {}).items()),
    }
    frames = b"".join(_record(_Kind.CARRIED, _FRAME.pack(f.start_sample, 0, 0) + f.samples.tobytes()) for f in carried)
    return MAGIC + _record(_Kind.HEAD, json.dumps(content).encode()) + frames


def heard(event: Scored, frame: Frame) -> bytes:
    fields = _FRAME.pack(frame.start_sample, event.speech_probability, event.level_db)
    return _record(_Kind.HEARD, fields + frame.samples.tobytes())


def lost(event: Lost) -> bytes:
    return _record(_Kind.LOST, _LOST.pack(event.start_sample, event.end_sample))


def cut(made: NumberedCut) -> bytes:
    return _record(_Kind.CUT, json.dumps(asdict(made)).encode())


def attempt(utterance: int) -> bytes:
    """Return the record of an attempt. Write it before recognition starts, so that it survives a crash there."""
    return _record(_Kind.ATTEMPT, utterance.to_bytes(8, "little"))


def survived(utterance: int) -> bytes:
    """Return the record of a discarded attempt: a later crash must not be blamed on it."""
    return _record(_Kind.SURVIVED, utterance.to_bytes(8, "little"))


def pending_mark(utterance: int, mark: str) -> bytes:
    """Return the record of a final mark that a published text lacks. Write it before the text is published."""
    return _record(_Kind.PENDING_MARK, json.dumps([utterance, mark]).encode())


def settled(utterance: int) -> bytes:
    return _record(_Kind.SETTLED, utterance.to_bytes(8, "little"))


def read(content: bytes) -> Segment:
    """Return the intact part of a file. Raises SpoolDamaged if not even its header is intact."""
    if not content.startswith(MAGIC):
        raise SpoolDamaged("its format is not this version's")
    records = _records(content)
    kind, payload, end = next(records, (None, b"", 0))
    if kind != _Kind.HEAD:
        raise SpoolDamaged("its header is missing or truncated")
    try:
        segment = _segment(json_value(payload))
        segment.whole_bytes = end
        for kind, payload, end in records:
            _take(segment, _Kind(kind), payload)
            segment.whole_bytes = end
    except (ValueError, TypeError, KeyError, struct.error) as error:
        raise SpoolDamaged(f"it has data that cannot be decoded ({error!r})") from error
    return segment


def _record(kind: _Kind, payload: bytes) -> bytes:
    return _RECORD.pack(kind, len(payload), zlib.crc32(payload)) + payload


def _records(content: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield the kind, the payload and the end of each record, up to the first that is not intact."""
    at = len(MAGIC)
    while at + _RECORD.size <= len(content):
        kind, length, check = _RECORD.unpack_from(content, at)
        begin = at + _RECORD.size
        payload = content[begin : begin + length]
        if len(payload) < length or zlib.crc32(payload) != check:
            return
        at = begin + length
        yield kind, payload, at


def _segment(content: dict[str, Any]) -> Segment:
    session, state = dict(content["session"]), dict(content["state"])
    session["options"] = SessionOptions(**session["options"])
    session["endpoint"] = EndpointSettings(**session["endpoint"])
    state["phase"] = endpointing.Phase(str(state["phase"]))
    marks = {int(utterance): str(mark) for utterance, mark in content.get("pending_marks", ())}
    return Segment(SpooledSession(**session), _endpoint_state(state), pending_marks=marks)


def _take(segment: Segment, kind: _Kind, payload: bytes) -> None:
    match kind:
        case _Kind.CARRIED | _Kind.HEARD:
            start_sample, probability, level_db = _FRAME.unpack_from(payload)
            frame = Frame(start_sample, np.frombuffer(payload, "<i2", offset=_FRAME.size).astype(np.int16))
            segment.frames.append(frame)
            if kind is _Kind.HEARD:
                segment.events.append(Scored(start_sample, frame.end_sample, probability, level_db))
        case _Kind.LOST:
            segment.events.append(Lost(*_LOST.unpack(payload)))
        case _Kind.CUT:
            fields = json_value(payload)
            lead, tail = fields.get("overlap", (0, 0))
            changed = {"reason": EndReason(fields["reason"]), "overlap": (int(lead), int(tail))}
            segment.cuts.append(NumberedCut(**fields | changed))
        case _Kind.ATTEMPT:
            segment.attempts[int.from_bytes(payload, "little")] += 1
        case _Kind.SURVIVED:
            segment.attempts[int.from_bytes(payload, "little")] -= 1
        case _Kind.PENDING_MARK:
            utterance, mark = json.loads(payload)
            segment.pending_marks[int(utterance)] = str(mark)
        case _Kind.SETTLED:
            segment.settled.add(int.from_bytes(payload, "little"))
        case _Kind.HEAD:
            raise ValueError("it has two headers")


def _endpoint_state(content: dict[str, Any]) -> EndpointState:
    """Return the state in a header; of versions before the quiet place was one value, it has two values that are left out."""
    fields = {name: value for name, value in content.items() if name not in {"quiet", "quiet_sample", "quiet_db"}}
    quiet = content.get("quiet", {})
    return EndpointState(**fields, quiet=QuietPlace(**{**quiet, "recent": tuple(quiet.get("recent", ()))}))
