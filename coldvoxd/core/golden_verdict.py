"""Judges the golden clip: whether these weights recognized the expected words in it.

The truth is the text that the CPU recognizes in the clip in fp32. Broken kernels, drivers and memory give other words,
no words, or values that are not numbers. A sound accelerator in fp32 or fp16 gives the same words, even if the last
digits of its values differ. So only words are compared, without case and punctuation.

int8 weights are different weights: a sound run may recognize a word of the clip differently. That difference is due to
the precision and is no fault of the accelerator, so an accelerator may also return what the CPU returns in that
precision, but only up to `OWN_DIFFERENCE` of the words. Beyond that, or if the CPU recognizes nothing, the weights are
broken, and neither the accelerator nor the CPU is trusted with them.
"""

from collections.abc import Iterable

from coldvoxd.core.edit_distance import edit_distance

OWN_DIFFERENCE = 0.25
"""Share of the clip's words that a precision may recognize differently: one of the seven in the shipped clip."""


def words(text: str) -> list[str]:
    """Return the words of a text, without case and punctuation."""
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()


def agrees(heard: str, truths: Iterable[str]) -> bool:
    """Return whether a text is one of the truths, word for word. An empty text agrees with none."""
    found = words(heard)
    return bool(found) and any(found == words(truth) for truth in truths)


def fair(own: str, truth: str) -> bool:
    """Return whether the CPU's text in another precision differs from the truth no more than a sound precision may."""
    heard, expected = words(own), words(truth)
    return bool(heard) and edit_distance(heard, expected) <= OWN_DIFFERENCE * len(expected)
