"""Subtitles keep to their limits, lose no word, and are read by others' parsers."""

import io
from datetime import timedelta
from itertools import pairwise

import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.core.values import Word
from coldvoxd.files import subtitles
from coldvoxd.files.subtitles import LEAST_MS, LINE_CHARACTERS, MOST_LINES, MOST_MS, Cue, cues

TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=100) | st.sampled_from(
    ["yes", "no.", "I", "would", "like,", "a", "large", "cappuccino", "please?", "<i>", "-->", "&amp;", "1"]
)
SPOKEN = st.lists(st.tuples(TEXTS, st.floats(0, 2) | st.just(0.0), st.floats(0, 1.5) | st.floats(0, 20)), max_size=60)


def spoken(text: str, *, word_s: float = 0.3, pauses: dict[str, float] | None = None) -> list[Word]:
    """Return the words of a text, one after another; `pauses` has the seconds after some of them."""
    words, at = [], 0.0
    for word in text.split():
        words.append(Word(word, at, at + word_s, 0.9))
        at += word_s + (pauses or {}).get(word, 0.05)
    return words


def at_random(parts: list[tuple[str, float, float]]) -> list[Word]:
    """Return words that begin in order, and may overlap."""
    words, at = [], 0.0
    for text, gap_s, length_s in parts:
        at += gap_s
        words.append(Word(text, at, at + length_s, 0.9))
    return words


def texts(found: list[Cue]) -> list[str]:
    return [" / ".join(cue.lines) for cue in found]


@given(SPOKEN)
def test_cues_are_within_the_limits_and_have_every_character(parts: list[tuple[str, float, float]]) -> None:
    words = at_random(parts)
    found = cues(words)
    for cue in found:
        assert 1 <= len(cue.lines) <= MOST_LINES
        assert all(0 < len(line) <= LINE_CHARACTERS for line in cue.lines)
        assert 0 < cue.end_ms - cue.start_ms <= MOST_MS
    for before, after in pairwise(found):
        assert before.end_ms <= after.start_ms
    borders = [0, *(time for cue in found for time in (cue.start_ms, cue.end_ms)), float("inf")]
    for number, cue in enumerate(found):
        has_room = borders[2 * number] < cue.start_ms or cue.end_ms < borders[2 * number + 3]
        assert cue.end_ms - cue.start_ms >= LEAST_MS or not has_room
    said = "".join("".join(word.text.split()) for word in words)
    assert "".join("".join("".join(cue.lines).split()) for cue in found) == said


@given(SPOKEN)
def test_no_cue_ends_after_the_recording(parts: list[tuple[str, float, float]]) -> None:
    words = at_random(parts)
    end_s = max((word.end_s for word in words), default=0.0) + 0.1
    found = cues(words, end_s)
    assert [cue.lines for cue in found] == [cue.lines for cue in cues(words)]
    assert all(cue.start_ms < cue.end_ms <= end_s * 1000 for cue in found)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(found))


def test_a_last_cue_that_is_short_starts_earlier_instead_of_ending_later() -> None:
    (cue,) = cues([Word("no.", 9.8, 10.4, 0.9)], 10.03)
    assert (cue.start_ms, cue.end_ms) == (9030, 10030)


@given(SPOKEN)
def test_public_parsers_read_what_is_written(parts: list[tuple[str, float, float]]) -> None:
    words = at_random(parts)
    found = cues(words)
    parsed = list(srt.parse(subtitles.srt(words)))
    assert [one.index for one in parsed] == list(range(1, len(found) + 1))
    for one, cue in zip(parsed, found, strict=True):
        assert one.content == "\n".join(cue.lines)
        assert (one.start, one.end) == tuple(timedelta(milliseconds=time) for time in (cue.start_ms, cue.end_ms))
    captions = webvtt.from_buffer(io.StringIO(subtitles.vtt(words))).captions
    for caption, cue in zip(captions, found, strict=True):
        unescaped = caption.raw_text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        assert unescaped == "\n".join(cue.lines)
        times = [
            3_600_000 * time.hours + 60_000 * time.minutes + 1000 * time.seconds + time.milliseconds
            for time in (caption.start_time, caption.end_time)
        ]
        assert times == [cue.start_ms, cue.end_ms]


def test_there_are_no_cues_without_words() -> None:
    assert cues([]) == []
    assert subtitles.srt([]) == ""
    assert subtitles.vtt([]) == "WEBVTT\n"


def test_a_cue_ends_at_a_pause_and_at_the_end_of_a_sentence() -> None:
    words = spoken("I would like a tea please. And you can bring it later on", pauses={"you": 0.8})
    assert texts(cues(words)) == ["I would like a tea please.", "And you", "can bring it later on"]


def test_a_short_sentence_does_not_make_a_cue() -> None:
    assert texts(cues(spoken("No. Yes. I would like a tea."))) == ["No. Yes. I would like a tea."]


def test_a_cue_that_is_full_ends_after_a_clause() -> None:
    text = "one two three four five six seven eight nine ten, eleven twelve thirteen fourteen fifteen sixteen seventeen"
    words = spoken(text, word_s=0.2)
    assert texts(cues(words)) == [
        "one two three four five / six seven eight nine ten,",
        "eleven twelve thirteen fourteen / fifteen sixteen seventeen",
    ]


def test_a_cue_is_shown_long_enough_to_be_read() -> None:
    first, second = cues([Word("Incomprehensibilities, unfortunately.", 1.0, 1.2, 0.9), Word("Yes.", 9.0, 9.1, 0.9)])
    assert (first.start_ms, first.end_ms) == (1000, 1000 + 50 * len(first.lines[0]))
    assert (second.start_ms, second.end_ms) == (9000, 10_000)


def test_a_word_that_no_line_takes_is_cut() -> None:
    found = cues([Word("a" * 100, 0.0, 3.0, 0.9)])
    assert [len(line) for cue in found for line in cue.lines] == [42, 42, 16]
