"""Pauses, prefixes, fragments, restarts and context, made of clips whose words' ends are known.

Everything happens before a voice is bent and a recording made, so that rooms ring on into pauses and noise covers the
seams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from scipy.signal import oaconvolve

from mini_parakeet.corpus import SAMPLE_RATE, Clip, Samples
from mini_parakeet.grammar import DAYS, NAMES, capitalized

Rng = np.random.Generator

MARKS = ".,?"
ALWAYS_CAPITAL = frozenset([*DAYS, *NAMES, "I", "I'd"])
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.3, 3.0
FADE = 96
"""Samples over which a cut edge rises or falls: 6 ms."""
TONE_WINDOW = 512
QUIET_SHARE = 0.1
"""Share of a clip's moments that count as its room tone."""


@dataclass(frozen=True, slots=True)
class Composed:
    """What is heard, what must be written, and what was written before the audio begins."""

    samples: Samples
    text: str
    context: str = ""
    ends: bool = False
    """Whether the audio ends within a word or right after one, without silence."""


def lowered(word: str) -> str:
    """`word` as it is written within a sentence."""
    return word if word.rstrip(MARKS) in ALWAYS_CAPITAL else word[0].lower() + word[1:]


def begun(words: Sequence[str]) -> str:
    """Words as the beginning of a sentence."""
    return capitalized(" ".join(words)) if words else ""


def continued(words: Sequence[str]) -> str:
    """Words as the rest of a sentence."""
    return " ".join([lowered(words[0]), *words[1:]]) if words else ""


def without_mark(text: str) -> str:
    return text.rstrip(MARKS)


def faded(samples: Samples, at_start: bool, at_end: bool) -> Samples:
    """With 6 ms of fade where it was cut."""
    samples = samples.copy()
    length = min(FADE, len(samples))
    ramp = np.linspace(0, 1, length, dtype=np.float32)
    if at_start:
        samples[:length] *= ramp
    if at_end:
        samples[len(samples) - length :] *= ramp[::-1]
    return samples


def part(clip: Clip, first: int, last: int) -> Samples:
    """The audio of words `first` up to, but not including, `last`."""
    edges = [0, *clip.cuts, len(clip.samples)]
    return faded(clip.samples[edges[first] : edges[last]], first > 0, last < len(edges) - 1)


def room_tone(samples: Samples, length: int, rng: Rng) -> Samples:
    """Noise with the level and the spectrum of the quietest moments of `samples`; silence where those are silent."""
    count = len(samples) // TONE_WINDOW
    if count < 4 or length == 0:
        return np.zeros(length, np.float32)
    windows = samples[: count * TONE_WINDOW].reshape(count, TONE_WINDOW)
    power = np.mean(np.square(windows), axis=1)
    quiet = windows[np.argsort(power)[: max(1, int(count * QUIET_SHARE))]]
    spectrum = np.sqrt(np.mean(np.abs(np.fft.rfft(quiet * np.hanning(TONE_WINDOW))) ** 2, axis=0))
    response = np.fft.irfft(spectrum) / np.sqrt(np.mean(np.hanning(TONE_WINDOW) ** 2)) / np.sqrt(TONE_WINDOW)
    response = np.roll(response, TONE_WINDOW // 2).astype(np.float32)
    drawn = rng.standard_normal(length + TONE_WINDOW - 1, dtype=np.float32)
    shaped: Samples = oaconvolve(drawn, response, "valid")
    return shaped


def pause_s(rng: Rng) -> float:
    """0.3 to 3 s, short ones oftener."""
    return float(SHORTEST_PAUSE_S * (LONGEST_PAUSE_S / SHORTEST_PAUSE_S) ** rng.random())


def pause_after(clip: Clip, rng: Rng, seconds: float | None = None) -> Samples:
    length = int((pause_s(rng) if seconds is None else seconds) * SAMPLE_RATE)
    return room_tone(clip.samples, length, rng)


def drawn_cut(clip: Clip, rng: Rng) -> int:
    """How many words come before a pause; in half the cases where the speaker paused, if anywhere."""
    if clip.breaks and rng.random() < 0.5:
        return int(rng.choice(clip.breaks)) + 1
    return int(rng.integers(1, len(clip.cuts) + 1))


def with_pauses(clip: Clip, rng: Rng, seconds: float | None = None, places: Sequence[int] | None = None) -> Composed:
    """The whole clip with one pause inside, at times two."""
    if places is None:
        chosen = {drawn_cut(clip, rng)}
        if len(clip.cuts) > 2 and rng.random() < 0.25:
            chosen.add(int(rng.integers(1, len(clip.cuts) + 1)))
        places = sorted(chosen)
    edges = [0, *places, len(clip.cuts) + 1]
    pieces: list[Samples] = []
    for first, last in pairwise(edges):
        pieces += [part(clip, first, last), pause_after(clip, rng, seconds)]
    return Composed(np.concatenate(pieces[:-1]), clip.text)


def joined(clips: Sequence[Clip], rng: Rng, seconds: float | None = None) -> Composed:
    """Several sentences with pauses between them."""
    pieces: list[Samples] = []
    for clip in clips:
        pieces += [clip.samples, pause_after(clip, rng, seconds)]
    return Composed(np.concatenate(pieces[:-1]), " ".join(clip.text for clip in clips))


def after_pause(clip: Clip, rng: Rng, place: int | None = None) -> Composed:
    """What comes after a pause inside the sentence; the part before it is context."""
    words = clip.text.split()
    place = drawn_cut(clip, rng) if place is None else place
    rest = part(clip, place, len(words))
    return Composed(rest, continued(words[place:]), without_mark(begun(words[:place])))


def next_sentence(before: Sequence[Clip], clip: Clip) -> Composed:
    """A sentence whose predecessors are context, the last of them without its final mark."""
    return Composed(clip.samples, clip.text, without_mark(" ".join(earlier.text for earlier in before)))


def shortened(clip: Clip, said: Composed, first: int, rng: Rng) -> Composed:
    """A prefix of `said`, which holds the words of `clip` from `first` on without a pause.

    It is cut where a word ends, or within the next one, which is then left out of the text.
    """
    words = clip.text.split()
    edges = [0, *clip.cuts, len(clip.samples)]
    last = int(rng.integers(first + 1, len(words) + 1)) if len(words) > first else len(words)
    begin, end = edges[first], edges[last]
    inside = last < len(words) and rng.random() < 0.5
    if inside:
        end += int((edges[last + 1] - end) * rng.uniform(0.1, 0.6))
    samples = faded(clip.samples[begin:end], first > 0, False)
    said_words = words[first:last]
    text = begun(said_words) if first == 0 else continued(said_words)
    if last < len(words):
        text = without_mark(text)
    else:
        return said
    silent = not inside and rng.random() < 0.5
    if silent:
        samples = faded(samples, False, True)
    return replace(said, samples=samples, text=text, ends=not silent)


def fragment(clip: Clip, rng: Rng) -> Composed:
    """Some words out of a sentence, or a single one, as if nothing else had been said."""
    words = clip.text.split()
    first = int(rng.integers(0, len(words)))
    last = first + 1 if rng.random() < 0.5 else int(rng.integers(first + 1, len(words) + 1))
    text = begun(words[first:last])
    return Composed(part(clip, first, last), text if last == len(words) else without_mark(text))


def half(clip: Clip, rng: Rng) -> Composed:
    """A sentence's part before a pause, or after it, as if nothing else had been said: what is recognized by itself.

    Up to 0.5 s of the pause stay with it.
    """
    words = clip.text.split()
    place = drawn_cut(clip, rng)
    tone = pause_after(clip, rng, float(rng.uniform(0.05, 0.5)))
    if rng.random() < 0.4:
        return Composed(np.concatenate([part(clip, 0, place), tone]), without_mark(begun(words[:place])))
    return Composed(np.concatenate([tone, part(clip, place, len(words))]), begun(words[place:]))


def restarted(clip: Clip, rng: Rng) -> Composed:
    """A sentence that is begun, broken off, and begun once more; every word is written."""
    words = clip.text.split()
    count = int(rng.integers(1, min(4, len(words))))
    gap = pause_after(clip, rng, float(rng.uniform(0.05, 1.2)))
    text = " ".join([begun(words[:count]).rstrip(MARKS), continued(words)])
    return Composed(np.concatenate([part(clip, 0, count), gap, clip.samples]), text)


def shuffled(clips: Sequence[Clip], rng: Rng) -> Composed:
    """Two to seven words out of one speaker's clips, in any order."""
    pieces: list[Samples] = []
    words: list[str] = []
    last_ends = False
    for _ in range(int(rng.integers(2, 8))):
        clip = clips[int(rng.integers(len(clips)))]
        said = clip.text.split()
        index = int(rng.integers(len(said)))
        samples = part(clip, index, index + 1)
        level = np.float32(rng.uniform(0.5, 1) / (np.abs(samples).max(initial=0.0) + 1e-6))
        pieces += [samples * level, room_tone(clip.samples, int(rng.uniform(0, 0.25) ** 2 * 4 * SAMPLE_RATE), rng)]
        words.append(lowered(said[index].rstrip(MARKS)))
        last_ends = index == len(said) - 1
    text = begun(words) + ("." if last_ends else "")
    return Composed(np.concatenate(pieces[:-1]), text)


@dataclass(frozen=True, slots=True)
class Shares:
    """How often an utterance is composed in each way; what is left of 1 stays as it was recorded."""

    inside: float = 0.2
    between: float = 0.12
    after: float = 0.09
    following: float = 0.06
    prefix: float = 0.11
    fragment: float = 0.06
    restart: float = 0.03
    shuffle: float = 0.04
    half: float = 0.0
    shortened: float = 0.25
    """Of what comes after a pause, the share that is a prefix of it."""

    def kinds(self) -> tuple[list[str], list[float]]:
        names = ["inside", "between", "after", "following", "prefix", "fragment", "restart", "shuffle", "half"]
        shares = [float(getattr(self, name)) for name in names]
        return [*names, "whole"], [*shares, 1 - sum(shares)]


@dataclass(slots=True)
class Writer:
    """Composes utterances in the shares it is given."""

    shares: Shares
    rng: Rng
    names: list[str] = field(init=False)
    edges: np.ndarray[tuple[int], np.dtype[np.float64]] = field(init=False)

    def __post_init__(self) -> None:
        self.names, shares = self.shares.kinds()
        self.edges = np.cumsum(shares)

    def compose(self, clips: Sequence[Clip]) -> Composed:
        """One utterance out of clips of one speaker, of which the first is the one that was drawn."""
        kind = self.names[min(int(np.searchsorted(self.edges, self.rng.random())), len(self.names) - 1)]
        clip, rng = clips[0], self.rng
        cut = [other for other in clips if other.cuts or len(other.text.split()) == 1]
        several = len(clips) > 1
        if kind == "between" and several:
            if clip.cuts and rng.random() < 0.3:
                paused = replace(clip, samples=with_pauses(clip, rng).samples, cuts=())
                return joined([paused, clips[1]], rng)
            return joined(clips[: 3 if rng.random() < 0.2 else 2], rng)
        if kind == "following" and several:
            last = clips[-1]
            said = next_sentence(clips[:-1], last)
            return shortened(last, said, 0, rng) if last.cuts and rng.random() < self.shares.shortened else said
        if kind == "shuffle" and len(cut) > 1 and clip.text:
            return shuffled(cut, rng)
        if clip.cuts:
            if kind == "inside":
                return with_pauses(clip, rng)
            if kind == "after":
                place = drawn_cut(clip, rng)
                said = after_pause(clip, rng, place)
                return shortened(clip, said, place, rng) if rng.random() < self.shares.shortened else said
            if kind == "prefix":
                return shortened(clip, Composed(clip.samples, clip.text), 0, rng)
            if kind == "fragment":
                return fragment(clip, rng)
            if kind == "half":
                return half(clip, rng)
            if kind == "restart":
                return restarted(clip, rng)
        return Composed(clip.samples, clip.text)
