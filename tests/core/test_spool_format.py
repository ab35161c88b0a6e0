"""The spool's format: what is read is what was written, however much of it is left."""

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np
import pytest

from coldvoxd.core import endpointing, spool_format
from coldvoxd.core.audio_values import Frame
from coldvoxd.core.endpoint_effects import Cut
from coldvoxd.core.endpointing import EndpointState, Finish, Lost, Scored
from coldvoxd.core.quiet_place import QuietPlace
from coldvoxd.core.settings import EndpointSettings
from coldvoxd.core.spool_format import NumberedCut, SpoolDamaged, SpooledSession
from coldvoxd.core.values import FRAME_SAMPLES, EndReason, SessionOptions

SETTINGS = EndpointSettings(max_utterance_s=3.0)
SESSION = SpooledSession(7, ":1.9", "guid", SessionOptions(private=True, words=True), 1600, SETTINGS)


def frame(number: int) -> Frame:
    return Frame(number * FRAME_SAMPLES, np.full(FRAME_SAMPLES, number - 100, np.int16))


def story(*parts: tuple[int, float], seed: int = 3) -> Iterator[tuple[Scored, Frame]]:
    """Yield frames with these counts and speech probabilities, at varying levels."""
    chance = random.Random(seed)
    number = 0
    for count, probability in parts:
        for _ in range(count):
            heard = frame(number)
            yield Scored(heard.start_sample, heard.end_sample, probability, chance.uniform(-60, -10)), heard
            number += 1


def written(*parts: tuple[int, float]) -> bytes:
    records = [spool_format.heard(event, heard) for event, heard in story(*parts)]
    return spool_format.head(SESSION, EndpointState(0)) + b"".join(records)


def cuts_of(*parts: tuple[int, float]) -> list[Cut]:
    """Return the cuts that the endpointer itself makes."""
    state, cuts, end = EndpointState(0), [], 0
    for event, heard in story(*parts):
        state, effects = endpointing.step(state, event, SETTINGS)
        cuts += [effect for effect in effects if isinstance(effect, Cut)]
        end = heard.end_sample
    _, effects = endpointing.step(state, Finish(end), SETTINGS)
    return cuts + [effect for effect in effects if isinstance(effect, Cut)]


def test_a_header_of_an_earlier_version_is_read() -> None:
    written = spool_format.head(SESSION, EndpointState(512, endpointing.Phase.SPEECH, 512, 512, 1024, 512))
    body = json.loads(written[len(spool_format.MAGIC) + spool_format._RECORD.size :])
    del body["state"]["quiet"], body["state"]["overlap_samples"]
    body["state"] |= {"quiet_sample": 600, "quiet_db": -40.0}
    earlier = spool_format.MAGIC + spool_format._record(spool_format._Kind.HEAD, json.dumps(body).encode())
    read = spool_format.read(earlier)
    assert (read.state.start_sample, read.state.speech_samples, read.state.quiet) == (512, 512, QuietPlace())


def test_a_session_is_read_back_as_it_was_written() -> None:
    state = EndpointState(512, endpointing.Phase.SPEECH, 512, 512, 1024, 512, QuietPlace(600, 0.25, (0.5, 0.125)))
    cut = NumberedCut(4, 100, 900, EndReason.LENGTH, 640, 12.5)
    parts = [spool_format.head(SESSION, state, [frame(1)]), spool_format.lost(Lost(3, 9)), spool_format.cut(cut)]
    parts += [spool_format.attempt(4), spool_format.attempt(4), spool_format.settled(4)]
    read = spool_format.read(b"".join(parts))
    assert (read.session, read.state, read.cuts) == (SESSION, state, [cut])
    assert (read.attempts[4], read.attempts[5], read.settled, read.events) == (2, 0, {4}, [Lost(3, 9)])
    assert read.frames[0].start_sample == FRAME_SAMPLES
    assert np.array_equal(read.frames[0].samples, frame(1).samples)


@pytest.mark.parametrize(
    "parts",
    [
        ((20, 0.0), (30, 0.9)),  # in the middle of speech
        ((20, 0.0), (30, 0.9), (5, 0.0)),  # in the hangover
        ((5, 0.0), (30, 0.9), (40, 0.0), (30, 0.9)),  # in the second utterance
        ((150, 0.9), (20, 0.0), (90, 0.9)),  # cut by length at the quietest point
        ((20, 0.0),),
        ((10, 0.0), (1, 0.9)),
    ],
)
def test_reading_cuts_where_the_endpointer_would_have(parts: tuple[tuple[int, float], ...]) -> None:
    assert spool_format.read(written(*parts)).unnumbered() == cuts_of(*parts)


def test_what_was_cut_already_is_not_cut_again() -> None:
    parts = ((5, 0.0), (30, 0.9), (40, 0.0), (30, 0.9))
    first, second = cuts_of(*parts)
    numbered = NumberedCut(3, first.start_sample, first.end_sample, first.reason, first.speech_samples, 1.0)
    assert spool_format.read(written(*parts) + spool_format.cut(numbered)).unnumbered() == [second]


def test_samples_of_an_utterance_are_those_that_were_heard() -> None:
    segment = spool_format.read(written((20, 0.0), (30, 0.9)))
    (cut,) = segment.unnumbered()
    utterance = segment.utterance(cut, 11)
    everything = np.concatenate([heard.samples for _, heard in story((20, 0.0), (30, 0.9))])
    assert (utterance.id, utterance.session_id, utterance.start_sample) == (11, 7, cut.start_sample)
    assert utterance.speech == ((20 * FRAME_SAMPLES - cut.start_sample, 50 * FRAME_SAMPLES - cut.start_sample),)
    assert utterance.speech_samples == cut.speech_samples == 30 * FRAME_SAMPLES
    assert np.array_equal(utterance.samples * 32768, everything[cut.start_sample : cut.end_sample])


def test_the_parts_of_a_cut_have_audio_of_each_other_also_in_the_next_file() -> None:
    """The file of the second part begins with what was kept of the first one's audio."""
    parts = ((120, 0.9), (20, 0.0))
    events = list(story(*parts))
    everything = np.concatenate([heard.samples for _, heard in events])
    whole = spool_format.read(written(*parts))
    first, second = (whole.utterance(cut, number) for number, cut in enumerate(whole.unnumbered()))
    assert first.overlap.tail > 0 < second.overlap.lead
    assert first.own_end_sample == second.own_start_sample == second.start_sample + second.overlap.lead
    for one in (first, second):
        assert np.array_equal(one.samples * 32768, everything[one.start_sample :][: len(one.samples)])
    state, number = EndpointState(0), 0
    while not number or state.floor_sample == 0:
        state, _ = endpointing.step(state, events[number][0], SETTINGS)
        number += 1
    kept = [heard for _, heard in events[:number] if heard.end_sample > state.keep_from_sample]
    later = [spool_format.heard(event, heard) for event, heard in events[number:]]
    read = spool_format.read(spool_format.head(SESSION, state, kept) + b"".join(later))
    (again,) = (read.utterance(cut, 1) for cut in read.unnumbered())
    assert (again.start_sample, again.overlap) == (second.start_sample, second.overlap)
    assert np.array_equal(again.samples, second.samples)
    assert again.without_overlap().speech == second.without_overlap().speech, "also what was heard before the cut"
    (shortest,) = (one.utterance(cut, 1) for one in [spool_format.read(spool_format.head(SESSION, state, kept))]
                   for cut in one.unnumbered())  # fmt: skip
    assert shortest.speech_start_sample == shortest.own_start_sample == first.own_end_sample


def test_a_cut_is_read_back_with_its_overlap_and_one_of_an_earlier_version_has_none() -> None:
    cut = NumberedCut(4, 100, 900, EndReason.LENGTH, 640, 12.5, (80, 70))
    head = spool_format.head(SESSION, EndpointState(0))
    assert spool_format.read(head + spool_format.cut(cut)).cuts == [cut]
    fields = asdict(cut)
    del fields["overlap"]
    record = spool_format._record(spool_format._Kind.CUT, json.dumps(fields).encode())
    assert spool_format.read(head + record).cuts == [replace(cut, overlap=(0, 0))]


def test_a_file_that_ends_anywhere_gives_what_is_whole() -> None:
    """Pins that a file truncated at any byte after its head is readable."""
    content = written((2, 0.0), (3, 0.9)) + spool_format.attempt(1)
    head = len(spool_format.head(SESSION, EndpointState(0)))
    record = len(spool_format.heard(*next(story((1, 0.9)))))
    for length in range(len(content)):
        if length < head:
            with pytest.raises(SpoolDamaged):
                spool_format.read(content[:length])
        else:
            read = spool_format.read(content[:length])
            assert len(read.frames) == min(5, (length - head) // record)
            assert read.whole_bytes == head + len(read.frames) * record


def test_a_bit_that_flipped_ends_the_reading_before_it() -> None:
    content = bytearray(written((2, 0.0), (3, 0.9)))
    content[-100] ^= 1
    assert len(spool_format.read(bytes(content)).frames) == 4


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage" * 100,
        spool_format.MAGIC,
        spool_format.MAGIC.replace(b"1", b"2")
        + spool_format.head(SESSION, EndpointState(0))[len(spool_format.MAGIC) :],
        spool_format.MAGIC + spool_format.attempt(3),
        spool_format.head(SESSION, EndpointState(0))
        + spool_format.head(SESSION, EndpointState(0))[len(spool_format.MAGIC) :],
        spool_format.head(SESSION, EndpointState(0)).replace(b"caller", b"kaller"),
    ],
)
def test_what_is_not_ours_is_refused(content: bytes) -> None:
    with pytest.raises(SpoolDamaged):
        spool_format.read(content)


def test_a_head_whose_fields_have_changed_is_refused() -> None:
    """A later version may change the head without changing the number."""
    import json
    import struct
    import zlib

    payload = json.dumps({"session": {"id": 1}, "state": {"phase": "SILENCE", "floor_sample": 0}}).encode()
    record = struct.pack("<BII", 1, len(payload), zlib.crc32(payload)) + payload
    with pytest.raises(SpoolDamaged):
        spool_format.read(spool_format.MAGIC + record)


def test_the_marks_that_texts_lack_are_read_from_the_header_and_from_records() -> None:
    content = spool_format.head(SESSION, EndpointState(0))
    assert spool_format.read(content).pending_marks == {}
    content = spool_format.head(SESSION, EndpointState(0), pending_marks={7: "?"}) + spool_format.pending_mark(9, ".")
    assert spool_format.read(content).pending_marks == {7: "?", 9: "."}
