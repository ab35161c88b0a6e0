"""The recordings of an evaluation, and what is wrong with those that cannot be used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.visible_text import visible

MOST_NAMED = 5
"""Maximum number of recordings that a message names."""


class DatasetFault(ColdvoxError):
    """Recordings or texts of an evaluation are missing or cannot be used. The message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A recording, or a part of one, with the text that is spoken in it."""

    id: str
    """Unique in its data set."""
    path: Path
    reference: str = field(repr=False)
    """What is said, as the data set has it."""
    speaker: str = ""
    """Empty if it is not known."""
    begin_s: float = 0.0
    """Where the clip begins in the recording, in seconds."""
    duration_s: float | None = None
    """Its length in seconds; None for the rest of the recording."""
    text_file: Path | None = None
    """The file that has `reference`; None if it is in none."""


@dataclass(frozen=True, slots=True)
class ClipFault:
    """A recording that cannot be used."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """The recordings of a data set, in the order of their names."""

    place: Path
    layout: str
    """librispeech, csv, jsonl or folder."""
    clips: tuple[Clip, ...]
    faults: tuple[ClipFault, ...] = ()
    """Those that cannot be used."""

    @property
    def reference_files(self) -> int:
        """Number of files from which the texts were read."""
        return len({clip.text_file for clip in self.clips if clip.text_file is not None})

    @property
    def references(self) -> str:
        """What the files are from which the texts were read, for people: a pattern of names, or the manifest's name."""
        if (
            pattern := {"librispeech": "*.trans.txt", "folder": "*.txt of the recording's name"}.get(self.layout)
        ) is not None:
            return pattern
        return next((clip.text_file.name for clip in self.clips if clip.text_file is not None), "")

    def without_faults(self, skip: bool) -> "Dataset":
        """Return the data set if all of it can be used, or if `skip`, and something is left. Raises DatasetFault."""
        if self.faults and not skip:
            raise DatasetFault(
                f"{complaint(self.faults, len(self.clips) + len(self.faults))} Correct them, or leave them out with "
                "--skip-faulty: the report then names them."
            )
        if not self.clips:
            raise DatasetFault(
                f"{self.place} has no recording that can be used. {complaint(self.faults, len(self.faults))}"
            )
        return self

    def with_words(self, normalize: Callable[[str], str]) -> "Dataset":
        """Return the data set without clips whose text has no words after normalization; these become faults."""
        empty = [clip for clip in self.clips if not normalize(clip.reference).split()]
        if not empty:
            return self
        left = {clip.id for clip in empty}
        faults = (ClipFault(clip.id, "the normalization leaves no words of its text") for clip in empty)
        return replace(
            self,
            clips=tuple(clip for clip in self.clips if clip.id not in left),
            faults=(*self.faults, *faults),
        )

    def at_most(self, number: int | None, chance: np.random.Generator) -> "Dataset":
        """Return the data set with this many clips, chosen at random; all of them for None."""
        if number is None or number >= len(self.clips):
            return self
        chosen = sorted(chance.choice(len(self.clips), number, replace=False).tolist())
        return replace(self, clips=tuple(self.clips[index] for index in chosen))


def complaint(faults: Sequence[ClipFault], total: int) -> str:
    """Return a sentence with the number of faulty recordings, and the first ones with their reasons."""
    named = "; ".join(visible(f"{fault.name}: {fault.reason}") for fault in faults[:MOST_NAMED])
    rest = len(faults) - MOST_NAMED
    more = f"; and {rest} more" if rest > 0 else ""
    return f"{len(faults)} of {total} recordings cannot be used ({named}{more})."
