"""An utterance's own tokens among those of its audio, which may begin and end with audio of its neighbours. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from coldvoxd.core.cut_overlap import missing, own_words
from coldvoxd.core.values import SAMPLE_RATE, Overlap, Token, Word, WordTokens
from coldvoxd.engines.parakeet import holes
from coldvoxd.engines.parakeet.vocabulary import Vocabulary

COMPLETE_S = 0.2
"""A word that ends less than this many seconds before the end of the audio may be cut off."""


@dataclass(frozen=True, slots=True)
class Part:
    """What an utterance publishes of a recognition of its audio."""

    tokens: tuple[Token, ...] = field(repr=False)
    """Its tokens that have text."""
    word_before: str = field(default="", repr=False)
    """The word before the first one, with its marks; empty if none is recognized there."""
    behind: tuple[WordTokens, ...] = field(default=(), repr=False)
    """The complete words behind the end."""


@dataclass(frozen=True, slots=True)
class OwnPart:
    """Finds the own part of each recognition of one utterance."""

    vocabulary: Vocabulary
    overlap: Overlap
    seconds_per_frame: float
    samples: int
    """Length of the audio."""

    def of(self, tokens: Sequence[Token]) -> Part:
        shown = tuple(token for token in tokens if self.vocabulary.shown(token.id))
        if not (self.overlap.lead or self.overlap.tail):
            return Part(shown)
        groups = holes.by_word(shown, self.vocabulary)
        words = [self._word(group) for group in groups]
        begin, end = own_words(words, self.overlap, self.samples)
        own = [token for group in groups[begin:end] for token in group]
        before = words[begin - 1].text if begin else ""
        if known := [each for each in missing(words, begin, end, self.overlap) if self._has(each)]:
            own = [*(token for each in known for token in self._placed(each)), *own]
            before = self.overlap.before[-1].text if self.overlap.before else ""
        behind = tuple(
            (word, tuple(group))
            for word, group in zip(words[end:], groups[end:], strict=True)
            if word.end_s <= self.samples / SAMPLE_RATE - COMPLETE_S
        )
        return Part(tuple(own), before, behind)

    def _has(self, known: WordTokens) -> bool:
        """Return whether the tokens are that word in this vocabulary: another model may have recognized it."""
        word, tokens = known
        ids = [token.id for token in tokens]
        return max(ids) < len(self.vocabulary.pieces) and self._word(tokens).text == word.text

    def _placed(self, known: WordTokens) -> list[Token]:
        """Return the tokens of a word with the frames of this audio."""
        word, tokens = known
        shift = round(word.start_s / self.seconds_per_frame) - tokens[0].encoder_frame
        return [replace(token, encoder_frame=max(0, token.encoder_frame + shift)) for token in tokens]

    def _word(self, tokens: Sequence[Token]) -> Word:
        """Return the tokens of one word as such, also if they are nothing but a space."""
        found = self.vocabulary.words(tokens, self.seconds_per_frame, self.samples / SAMPLE_RATE)
        begin_s = tokens[0].encoder_frame * self.seconds_per_frame
        return found[0] if found else Word("", begin_s, begin_s, 0.0)
