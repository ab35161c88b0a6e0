"""Signal levels in dBFS."""

import math

import numpy as np
import numpy.typing as npt

LOWEST_DB = -96.0
"""Lower bound of levels; a single step of 16-bit audio is louder."""


def level_db(samples: npt.NDArray[np.int16]) -> float:
    """Return the root mean square of int16 (n,) in dBFS, at least -96."""
    wide = samples.astype(np.float32)
    power = float(np.dot(wide, wide)) / len(samples)
    return max(LOWEST_DB, 10 * math.log10(power + 1e-9) - 20 * math.log10(32768))
