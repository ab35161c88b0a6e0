"""The golden clip's judgement: whether what was heard in it is what these weights should hear.

The truth is what the CPU said of it in fp32. Broken kernels, drivers and memory give other words, none, or values that are
no numbers; a sound accelerator in fp32 or fp16 gives the same words, whatever it does to the last digits. So words count,
and neither case nor punctuation.

int8 weights are other weights: a sound run may hear a word of the clip differently. That is the precision's own difference and no
fault of the accelerator's, so an accelerator may also say what the CPU itself says in that precision. But only up to
`OWN_DIFFERENCE` of the words: past it, or where the CPU hears nothing, it is the weights that are broken, and neither the
accelerator nor the CPU is trusted with them.
"""

from collections.abc import Iterable, Sequence

OWN_DIFFERENCE = 0.25
"""The share of the clip's words that a precision may hear differently: one of the shipped clip's seven."""


def words(text: str) -> list[str]:
    """Without case and punctuation."""
    return "".join(letter if letter.isalnum() else " " for letter in text.casefold()).split()


def agrees(heard: str, truths: Iterable[str]) -> bool:
    """Whether it is one of these, word for word. Nothing heard agrees with nothing."""
    found = words(heard)
    return bool(found) and any(found == words(truth) for truth in truths)


def fair(own: str, truth: str) -> bool:
    """Whether what the CPU says in another precision differs from the truth no more than a sound precision may."""
    heard, wanted = words(own), words(truth)
    return bool(heard) and distance(heard, wanted) <= OWN_DIFFERENCE * len(wanted)


def distance(heard: Sequence[str], wanted: Sequence[str]) -> int:
    """Words to put in, take out or exchange, at least."""
    row = list(range(len(wanted) + 1))
    for number, word in enumerate(heard, 1):
        left, row[0] = row[0], number
        for place, other in enumerate(wanted, 1):
            left, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, left + (word != other))
    return row[-1]
