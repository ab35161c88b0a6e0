"""An utterance's own tokens among those of its audio, which may begin and end with audio of its neighbours. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from coldvoxd.core.cut_overlap import own_words
from coldvoxd.core.values import SAMPLE_RATE, Overlap, Token, Word
from coldvoxd.engines.parakeet import holes
from coldvoxd.engines.parakeet.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Part:
    """What an utterance publishes of a recognition of its audio."""

    tokens: tuple[Token, ...] = field(repr=False)
    """Its tokens that have text."""
    word_before: str = field(default="", repr=False)
    """The word before the first one, with its marks; empty if none is recognized there."""


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
        own = tuple(token for group in groups[begin:end] for token in group)
        return Part(own, words[begin - 1].text if begin else "")

    def _word(self, tokens: Sequence[Token]) -> Word:
        """Return the tokens of one word as such, also if they are nothing but a space."""
        found = self.vocabulary.words(tokens, self.seconds_per_frame, self.samples / SAMPLE_RATE)
        begin_s = tokens[0].encoder_frame * self.seconds_per_frame
        return found[0] if found else Word("", begin_s, begin_s, 0.0)
