"""How loud audio is."""

import math

import numpy as np
import numpy.typing as npt

LOWEST_DB = -96.0
"""A single step of 16-bit audio is louder."""


def level_db(samples: npt.NDArray[np.int16]) -> float:
    """Root mean square of int16 (n,) in dBFS, -96 at the lowest."""
    wide = samples.astype(np.float32)
    power = float(np.dot(wide, wide)) / len(samples)
    return max(LOWEST_DB, 10 * math.log10(power + 1e-9) - 20 * math.log10(32768))
