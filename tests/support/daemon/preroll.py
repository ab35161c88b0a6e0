"""Starts in the middle of speech, with a real daemon and a real sound server: what of the captured audio was heard."""

import asyncio
import json
import os
import random
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from coldvoxd.bus.interface_xml import DICTATION, ENGINE
from coldvoxd.core.values import SAMPLE_RATE
from tests.support.bus.private_bus import BusError
from tests.support.daemon.dictating import Dictating, dictating
from tests.support.sound.servers import SoundServer
from tests.support.sound.speech import samples

FILE_VARIABLE = "COLDVOX_TEST_OBSERVED"
"""Names the file that the observed daemon writes to."""
EDGE_DB = -45.0
"""Below it the edges of a recording count as silence, and are left out of the continuous speech."""
BEFORE_S = (0.1, 2.5)
DURING_S = (0.2, 1.2)
"""Between which times speech goes on before a start, and until the stop."""
CUT_S = 0.5
"""After a stop: its tail has been heard and the last utterance is cut."""
BUSY_S = 300.0
"""For what a machine with nothing else to do does at once."""


@dataclass(slots=True)
class Observation:
    """What one session heard, in frames of the capture."""

    session: int
    start_sample: int
    """The moment of the call."""
    floor_sample: int
    """How far back the session was to reach."""
    heard: int = 0
    heard_before_start: int = 0
    missing: list[int] = field(default_factory=list)
    """Where frames begin that were captured between the floor and the last frame heard, and not heard."""
    in_order: bool = True
    altered: int = 0
    """Utterances whose samples are not the captured ones."""
    utterances: list[int] = field(default_factory=list)
    """Where each of them begins."""

    @property
    def kept(self) -> bool:
        """Whether every frame from the floor on was heard, in order, and went to recognition as it was captured."""
        return self.in_order and not self.missing and not self.altered

    def encoded(self) -> str:
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True, slots=True)
class Starts:
    """What came of the starts against one daemon."""

    observations: tuple[Observation, ...]
    refused: int
    """The daemon's own count of frames that came out of order."""
    gaps: int
    """Losses of audio between the sound server and the daemon."""
    wordless: int
    """Sessions that gave no text."""


@contextmanager
def speaking(server: SoundServer) -> Iterator[None]:
    """Speech without pauses, over and over, into the first microphone."""
    with tempfile.TemporaryDirectory(prefix="coldvox-speech-") as place:
        wav = Path(place) / "speech.wav"
        soundfile.write(wav, np.concatenate([_trimmed(sample.wave()) for sample in samples()]), SAMPLE_RATE)
        loop = ["sh", "-c", 'while paplay --device=speaker1 "$0"; do :; done', str(wav)]
        process = subprocess.Popen(loop, env=server.environment(), start_new_session=True)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


class Company:
    """Daemons that run at once: they are started two at a time, and dictate once all of them have been."""

    def __init__(self, daemons: int = 1, share_recognized: float = 1.0) -> None:
        """Of the other sessions the utterances are cut, and the text is not waited for."""
        self.share_recognized = share_recognized
        self.door = asyncio.Semaphore(2)
        self.together = asyncio.Barrier(daemons)


async def start_in_mid_speech(server: SoundServer, times: int, seed: int, company: Company) -> Starts:
    """So many sessions of one observed daemon, at moments that the seed decides."""
    chance = random.Random(seed)
    async with AsyncExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coldvox-observed-")))
        file, runtime = place / "sessions.jsonl", place / "run"
        runtime.mkdir(mode=0o700)
        environment = {FILE_VARIABLE: str(file), "RUNTIME_DIRECTORY": str(runtime)}
        async with company.door:
            observed = dictating(
                server, program="tests.support.daemon.observed", extra_environment=environment, patience_s=BUSY_S
            )
            daemon = await stack.enter_async_context(observed)
            await daemon.until("Open", True, patience_s=BUSY_S)
        await company.together.wait()
        texts = [await _dictate(daemon, chance, company.share_recognized) for _ in range(times)]
        metrics = await daemon.client.call("GetMetrics", interface=ENGINE)
        await daemon.until("Session", 0, DICTATION, patience_s=BUSY_S)
        observations = tuple(Observation(**json.loads(line)) for line in file.read_text().splitlines())
    refused, gaps = metrics.get("frames-dropped"), sum(metrics["gaps"].value.values())
    return Starts(observations, refused.value if refused is not None else 0, gaps, texts.count(""))


async def _dictate(daemon: Dictating, chance: random.Random, share_recognized: float) -> str | None:
    """The text of a session, None where that isn't waited for; on a machine that is very busy it comes by signal, or the microphone stands still meanwhile."""
    await asyncio.sleep(chance.uniform(*BEFORE_S))  # of speech
    await _start(daemon)
    await asyncio.sleep(chance.uniform(*DURING_S))
    if chance.random() >= share_recognized:
        await _stop_and_cancel(daemon)
        return None
    try:
        return str(await daemon.client.call("StopDictation"))
    except BusError as error:
        if not error.name.endswith((".Timeout", ".NotActive")):
            raise
    await daemon.until("Session", 0, DICTATION, patience_s=BUSY_S)
    await daemon.client.settle()
    return str(daemon.client.bodies("DictationStopped")[-1][2])


async def _stop_and_cancel(daemon: Dictating) -> None:
    """Have what is being said cut as a stop does, and throw it away before it is text."""
    try:
        await daemon.client.call("ToggleDictation")
        await asyncio.sleep(CUT_S)
        await daemon.client.call("CancelDictation")
    except BusError as error:
        if not error.name.endswith(".NotActive"):  # it was text already
            raise


async def _start(daemon: Dictating) -> None:
    async with asyncio.timeout(BUSY_S):
        while True:
            try:
                await daemon.client.call("StartDictation")
            except BusError as error:
                if not error.name.endswith(".NoMicrophone"):
                    raise
                await asyncio.sleep(0.1)
            else:
                return


def _trimmed(wave: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    (loud,) = np.nonzero(np.abs(wave) > 10 ** (EDGE_DB / 20))
    return wave[loud[0] : loud[-1] + 1]
