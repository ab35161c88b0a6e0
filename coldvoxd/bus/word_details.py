"""Encodes words and other texts for signals and replies."""

from collections.abc import Iterable

from coldvoxd.bus.library import Variant
from coldvoxd.bus.valid_text import bus_text
from coldvoxd.core.decoding_options import Alternative
from coldvoxd.core.values import Hypothesis, Word


def words_body(words: Iterable[Word]) -> Variant:
    """Return words as a(sddd): word, start, end, confidence. float() because the library rejects NumPy's float32."""
    return Variant(
        "a(sddd)",
        [[bus_text(word.text), float(word.start_s), float(word.end_s), float(word.confidence)] for word in words],
    )


def alternatives_body(alternatives: Iterable[Alternative]) -> Variant:
    """Return other texts as a(sd): text and share."""
    return Variant("a(sd)", [[bus_text(other.text), float(other.share)] for other in alternatives])


def retry_details(hypothesis: Hypothesis) -> dict[str, Variant]:
    """Return the details of RetryLastWithDetails."""
    details = {
        "confidence": Variant("d", float(hypothesis.confidence)),
        "provider": Variant("s", hypothesis.provider),
    }
    if hypothesis.alternatives:
        details["alternatives"] = alternatives_body(hypothesis.alternatives)
    return details
