"""The judgement of the golden clip: whether these weights recognized in it what they should.

The truth is what the CPU recognizes in the clip in fp32. Broken kernels, drivers and memory give other words, none, or
values that are not numbers; a sound accelerator in fp32 or fp16 gives the same words, whatever it does to the last digits.
So words count, and neither case nor punctuation.

int8 weights are other weights: a sound run may recognize a word of the clip differently. That difference belongs to the
precision and is no fault of the accelerator, so an accelerator may also return what the CPU returns in that precision. But
only up to `OWN_DIFFERENCE` of the words: past it, or where the CPU recognizes nothing, the weights are broken, and neither
the accelerator nor the CPU is trusted with them.
"""

from collections.abc import Iterable

from coldvoxd.core.edit_distance import edit_distance

OWN_DIFFERENCE = 0.25
"""The share of the clip's words that a precision may recognize differently: one of the shipped clip's seven."""


def words(text: str) -> list[str]:
    """The words of a text, without case and punctuation."""
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()


def agrees(heard: str, truths: Iterable[str]) -> bool:
    """Whether a text is one of the truths, word for word. An empty text agrees with none."""
    found = words(heard)
    return bool(found) and any(found == words(truth) for truth in truths)


def fair(own: str, truth: str) -> bool:
    """Whether the CPU's text in another precision differs from the truth no more than a sound precision may."""
    heard, wanted = words(own), words(truth)
    return bool(heard) and edit_distance(heard, wanted) <= OWN_DIFFERENCE * len(wanted)
