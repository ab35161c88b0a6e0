"""Steers the decoding towards a language: by the language's token, and by excluding tokens of other scripts.

Which of both helps depends on the weights. The published multilingual weights were not at hand: whether their prediction
network makes use of a language's token is not known here. That no letter of another script is returned holds for any weights.
"""

import logging
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from coldvoxd.core.languages import AUTO, LanguageMeans, is_foreign
from coldvoxd.engines.parakeet.vocabulary import Vocabulary

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Steering:
    """What the decoding of an utterance in a certain language begins with, and what it leaves out."""

    before: tuple[int, ...] = ()
    """Tokens that the prediction network reads before the utterance."""
    excluded: npt.NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)
    """bool (vocabulary,): tokens that are never returned; None if there are none."""


NOT_STEERED = Steering()


class Languages:
    """The languages of one model. One thread at a time."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        supported: tuple[str, ...] | None = None,
        means: LanguageMeans = LanguageMeans.BOTH,
    ) -> None:
        """`supported` are the codes that the weights recognize; None for all that the vocabulary has."""
        self._vocabulary = vocabulary
        self._means = means
        self._steerings: dict[str, Steering] = {AUTO: NOT_STEERED}
        self.codes = _codes(vocabulary, supported)
        """Codes that can be selected, in alphabetical order; one for a model of a single language."""

    def steering(self, code: str) -> Steering:
        """Return how to decode an utterance in this language.

        Not steered for `auto` and for a language that the model lacks, which is logged: its audio must still become text.
        """
        if code not in self._steerings:
            if code not in self.codes:
                log.warning("the model has no language '%s': utterances are recognized without it", code)
            self._steerings[code] = self._steering(code)
        return self._steerings[code]

    def _steering(self, code: str) -> Steering:
        token = self._vocabulary.language_tokens.get(code)
        if code not in self.codes or token is None:  # a model of a single language needs no steering
            return NOT_STEERED
        by_token, by_script = self._means is not LanguageMeans.SCRIPT, self._means is not LanguageMeans.TOKEN
        return Steering((token,) if by_token else (), _excluded(self._vocabulary, code) if by_script else None)


def _codes(vocabulary: Vocabulary, supported: tuple[str, ...] | None) -> tuple[str, ...]:
    if supported is not None and len(supported) == 1:
        return supported
    tokens = vocabulary.language_tokens
    return tuple(sorted(tokens if supported is None else tokens.keys() & set(supported)))


def _excluded(vocabulary: Vocabulary, code: str) -> npt.NDArray[np.bool_] | None:
    """Return the mask of the tokens with letters of another script.

    Blank, control pieces, digits, punctuation and single bytes (`<0xC3>`) are in no script.
    """
    foreign = [is_foreign(vocabulary.letters(token), code) for token in range(len(vocabulary))]
    return np.array(foreign) if any(foreign) else None
