"""The states of a prediction network, to which a search goes back."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

States = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


@dataclass(slots=True)
class KeptState:
    """A state to which a decoder can go back."""

    token: int
    """Last token read."""
    states: States
    """The prediction network's, before it has read the token unless `predicted` is known."""
    predicted: npt.NDArray[np.float32] | None = None
    """Its output after the token; None if it has not read it, or is in one graph with the joint network."""


def copied(states: States) -> States:
    return states[0].copy(), states[1].copy()


def copy_to(arrays: States, states: States) -> None:
    """Copy the states into these arrays."""
    for array, state in zip(arrays, states, strict=True):
        array[:] = state
