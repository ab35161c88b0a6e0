"""Encodes words for the signals."""

from collections.abc import Iterable

from coldvoxd.bus.library import Variant
from coldvoxd.bus.valid_text import bus_text
from coldvoxd.core.values import Word


def words_body(words: Iterable[Word]) -> Variant:
    """Return words as a(sddd): word, start, end, confidence. float() because the library rejects NumPy's float32."""
    return Variant(
        "a(sddd)",
        [[bus_text(word.text), float(word.start_s), float(word.end_s), float(word.confidence)] for word in words],
    )
