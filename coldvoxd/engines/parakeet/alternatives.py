"""Other texts than the one that is returned, from the token sequences that a search ended with. Pure."""

import math
from collections.abc import Sequence

from coldvoxd.core.decoding_options import Alternative
from coldvoxd.core.seams import spelled
from coldvoxd.engines.parakeet.beam import Found
from coldvoxd.engines.parakeet.vocabulary import Vocabulary


def alternatives_of(found: Sequence[Found], text: str, vocabulary: Vocabulary) -> tuple[Alternative, ...]:
    """Return the texts of the sequences with other words than `text`, the most probable first.

    Of texts with the same words, which differ in marks and capital letters, the most probable one stands for all. None is empty.
    """
    best = max((one.log_probability for one in found), default=0.0)
    by_words: dict[tuple[str, ...], dict[str, float]] = {}
    for one in found:
        own = vocabulary.text(token for token in one.tokens if vocabulary.shown(token.id))
        weights = by_words.setdefault(_words(own), {})
        weights[own] = weights.get(own, 0.0) + math.exp(one.log_probability - best)
    sums = {words: sum(weights.values()) for words, weights in by_words.items()}
    total = sum(sums.values())
    others = sorted((words for words in by_words if words not in (_words(text), ())), key=lambda words: -sums[words])
    return tuple(
        Alternative(max(by_words[words], key=lambda own: by_words[words][own]), sums[words] / total) for words in others
    )


def _words(text: str) -> tuple[str, ...]:
    """Return the letters and digits of each word; the words as they are if there are none, as in a text of symbols."""
    return tuple(filter(None, map(spelled, text.split()))) or tuple(text.split())
