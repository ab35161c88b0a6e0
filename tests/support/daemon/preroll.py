"""Starts in the middle of speech, with a real daemon and a real sound server: which captured audio was heard."""

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
"""Environment variable with the file that the observed daemon writes."""
EDGE_DB = -45.0
"""Level in dBFS below which a recording's edges count as silence and are removed from the continuous speech."""
BEFORE_S = (0.1, 2.5)
DURING_S = (0.2, 1.2)
"""Ranges in seconds of the speech before a start, and from the start to the stop."""
CUT_S = 0.5
"""Seconds after a stop until its tail has been heard and the last utterance is cut."""
BUSY_S = 300.0
"""Patience in seconds for actions that are immediate on an idle machine."""


@dataclass(slots=True)
class Observation:
    """The audio that one session heard, in frames of the capture."""

    session: int
    start_sample: int
    """Sample at the time of the call."""
    floor_sample: int
    """Earliest sample that the session had to include."""
    heard: int = 0
    heard_before_start: int = 0
    missing: list[int] = field(default_factory=list)
    """Start samples of frames captured between the floor and the last frame heard, but not heard."""
    in_order: bool = True
    altered: int = 0
    """Utterances whose samples differ from the captured ones."""
    utterances: list[int] = field(default_factory=list)
    """Start sample of each utterance."""

    @property
    def kept(self) -> bool:
        """Whether every frame from the floor on was heard, in order, and reached recognition unchanged."""
        return self.in_order and not self.missing and not self.altered

    def encoded(self) -> str:
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True, slots=True)
class Starts:
    """The results of the starts with one daemon."""

    observations: tuple[Observation, ...]
    refused: int
    """Frames that arrived out of order, as counted by the daemon."""
    gaps: int
    """Losses of audio between the sound server and the daemon."""
    wordless: int
    """Sessions without text."""


@contextmanager
def speaking(server: SoundServer) -> Iterator[None]:
    """Play speech without pauses, repeatedly, into the first microphone."""
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
    """Daemons that run concurrently: two start at a time, and all dictate once every one has started."""

    def __init__(self, daemons: int = 1, share_recognized: float = 1.0) -> None:
        """`share_recognized` sessions wait for their text; of the others only the utterances are cut."""
        self.share_recognized = share_recognized
        self.door = asyncio.Semaphore(2)
        self.together = asyncio.Barrier(daemons)


async def start_in_mid_speech(server: SoundServer, times: int, seed: int, company: Company) -> Starts:
    """Run `times` sessions of one observed daemon, at moments chosen by the seed."""
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
    """Return a session's text, None if it isn't awaited.

    On a very busy machine it arrives by signal, or the microphone stalls meanwhile.
    """
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
    """Cut the current speech as a stop does, and discard it before recognition."""
    try:
        await daemon.client.call("ToggleDictation")
        await asyncio.sleep(CUT_S)
        await daemon.client.call("CancelDictation")
    except BusError as error:
        if not error.name.endswith(".NotActive"):  # it was recognized already
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
