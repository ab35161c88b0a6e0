"""Words as signals carry them."""

from collections.abc import Iterable

from dbus_next import Variant

from coldvoxd.bus.valid_text import bus_text
from coldvoxd.core.values import Word


def words_body(words: Iterable[Word]) -> Variant:
    """a(sddd): word, start, end, confidence. float() since NumPy's float32 is none, and the library refuses it."""
    return Variant(
        "a(sddd)",
        [[bus_text(word.text), float(word.start_s), float(word.end_s), float(word.confidence)] for word in words],
    )
