"""Writes the reports of a measurement: one that cannot be written costs neither the others nor what is printed."""

from collections.abc import Mapping
from pathlib import Path

from coldvoxd.cli.exit_codes import OutputFault
from coldvoxd.cli.output import Output
from coldvoxd.cli.transcript_files import write
from coldvoxd.core.errors import ColdvoxError


class Reports:
    """Files that are written at the end of a command, each whole or not at all."""

    def __init__(self, contents: Mapping[Path, str], *, force: bool) -> None:
        self._contents = contents
        self._force = force
        self._faults: list[ColdvoxError] = []

    def write(self, output: Output) -> None:
        """Write each file that can be written, and keep the errors of the others for `check`."""
        for file, content in self._contents.items():
            try:
                write(file, content, force=self._force)
            except ColdvoxError as error:
                self._faults.append(error)
            else:
                output.note(f"written to {file}")

    def check(self) -> None:
        """Raise the error of the file that was not written; OutputFault with all messages if there are several."""
        if len(self._faults) == 1:
            raise self._faults[0]
        if self._faults:
            raise OutputFault(" ".join(map(str, self._faults)))
