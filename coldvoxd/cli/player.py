"""Plays audio through a program of the system."""

import os
import shutil
import subprocess
from collections.abc import Sequence

import numpy as np

from coldvoxd.evaluate.engines import as_file
from coldvoxd.evaluate.noise import Wave

PLAYERS: tuple[tuple[str, ...], ...] = (("pw-play",), ("paplay",), ("aplay", "--quiet"))
"""Programs that play a WAV file, the preferred one first: of PipeWire, PulseAudio and ALSA."""


class Player:
    """Plays recordings through the first program that works. The audio stays in memory."""

    def __init__(self, players: Sequence[tuple[str, ...]] = PLAYERS) -> None:
        self._players = [player for player in players if shutil.which(player[0])]

    @property
    def names(self) -> str:
        """Names of all players, for messages."""
        return ", ".join(player[0] for player in PLAYERS)

    def play(self, wave: Wave) -> bool:
        """Play float32 (n,) at 16 kHz to its end. Returns False if no program could play it; blocks."""
        while self._players:
            if self._is_played(self._players[0], wave):
                return True
            self._players.pop(0)  # no server of this kind
        return False

    @staticmethod
    def _is_played(player: tuple[str, ...], wave: Wave) -> bool:
        with as_file(np.clip(wave, -1.0, 1.0)) as descriptor:
            os.lseek(descriptor, 0, os.SEEK_SET)
            command = [*player, f"/proc/self/fd/{descriptor}"]
            done = subprocess.run(  # noqa: S603 - a program of the system, on a memory file
                command, pass_fds=(descriptor,), stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
        return done.returncode == 0
