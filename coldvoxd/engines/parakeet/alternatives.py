"""Other texts than the one that is returned, from the token sequences that a search ended with. Pure."""

import math
from collections.abc import Sequence

from coldvoxd.core.decoding_options import Alternative
from coldvoxd.engines.parakeet.beam import Found
from coldvoxd.engines.parakeet.vocabulary import Vocabulary


def alternatives_of(found: Sequence[Found], text: str, vocabulary: Vocabulary) -> tuple[Alternative, ...]:
    """Return the texts of the sequences other than `text`, the most probable first. No text is empty or returned twice."""
    best = max((one.log_probability for one in found), default=0.0)
    weights: dict[str, float] = {}
    for one in found:
        own = vocabulary.text(token for token in one.tokens if vocabulary.shown(token.id))
        weights[own] = weights.get(own, 0.0) + math.exp(one.log_probability - best)
    total = sum(weights.values())
    others = sorted(((weight, own) for own, weight in weights.items() if own not in (text, "")), reverse=True)
    return tuple(Alternative(own, weight / total) for weight, own in others)
