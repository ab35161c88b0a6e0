"""Recognizes the clips of a data set with each variant in each condition, and scores the texts."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from coldvoxd.core.errors import ColdvoxError
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.evaluate import memory, noise
from coldvoxd.evaluate.clips import Clip
from coldvoxd.evaluate.engines import Engine
from coldvoxd.evaluate.noise import BABBLE_VOICES, Condition, Noise, Wave
from coldvoxd.evaluate.scoring import Counts, Scorer
from coldvoxd.evaluate.variants import Variant

WARM_UP_S = 1.0
"""Seconds of faint noise that are recognized before the first clip: a first run takes longer."""
_FAINT = 1e-3


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording as it was read."""

    wave: Wave = field(repr=False)
    """float32 (n,), 16 kHz."""
    warnings: tuple[str, ...] = ()
    """Where it is damaged."""


Reader = Callable[[Clip], Heard]
"""Reads the audio of a clip. Raises ColdvoxError."""
Progress = Callable[[str, float], None]
"""Called with what is measured and the completed share of it, 0..1."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a clip."""

    clip: Clip
    seconds: float = 0.0
    """Length of its audio."""
    took_s: float = 0.0
    text: str = field(default="", repr=False)
    counts: Counts | None = None
    """None if it failed."""
    fault: str = ""
    """Why it could not be read or recognized."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A variant in a condition."""

    variant: Variant
    condition: Condition
    model: str
    precision: str
    provider: str
    load_s: float
    peak_mib: int
    """Largest memory use while it ran, with the model."""
    outcomes: tuple[Outcome, ...]

    @property
    def name(self) -> str:
        """Variant and condition."""
        return f"{self.variant.name}, {self.condition.name}"

    @property
    def counts(self) -> Counts:
        """Errors of all clips that were recognized."""
        return sum((one.counts for one in self.outcomes if one.counts is not None), Counts())

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Clips that could not be read or recognized."""
        return tuple(one for one in self.outcomes if one.counts is None)

    @property
    def seconds(self) -> float:
        """Audio of the clips that were recognized, in seconds."""
        return sum(one.seconds for one in self.outcomes if one.counts is not None)

    @property
    def took_s(self) -> float:
        """Time in which they were recognized, in seconds."""
        return sum(one.took_s for one in self.outcomes if one.counts is not None)


class Measurement:
    """Measures variants on the same clips. Blocks; one thread."""

    def __init__(
        self,
        clips: Sequence[Clip],
        read: Reader,
        score: Scorer,
        *,
        conditions: Sequence[Condition] = (noise.CLEAN,),
        seed: int = 0,
        progress: Progress = lambda _what, _share: None,
    ) -> None:
        self._clips = clips
        self._read = read
        self._score = score
        self._conditions = conditions
        self._seed = seed
        self._progress = progress

    def measure(self, variant: Variant) -> list[Run]:
        """Load a variant's model, and recognize all clips in each condition.

        Clips that cannot be read or recognized are in the result. Raises ColdvoxError if the model cannot be loaded.
        """
        memory.reset_peak()
        self._progress(f"loading {variant.name}", 0.0)
        began_s = time.perf_counter()
        engine = variant.open()
        load_s = time.perf_counter() - began_s
        try:
            engine.transcribe(
                noise.white(round(WARM_UP_S * SAMPLE_RATE), np.random.default_rng(0)) * np.float32(_FAINT)
            )
            return [self._run(variant, engine, condition, load_s) for condition in self._conditions]
        finally:
            engine.close()

    def _run(self, variant: Variant, engine: Engine, condition: Condition, load_s: float) -> Run:
        outcomes = []
        for number, clip in enumerate(self._clips):
            self._progress(f"{variant.name}, {condition.name}", number / len(self._clips))
            outcomes.append(self._outcome(engine, clip, condition))
        return Run(
            variant,
            condition,
            engine.model,
            engine.precision,
            engine.provider,
            load_s,
            memory.peak_mib(),
            tuple(outcomes),
        )

    def _outcome(self, engine: Engine, clip: Clip, condition: Condition) -> Outcome:
        try:
            heard = self._read(clip)
        except ColdvoxError as error:
            return Outcome(clip, fault=str(error))
        seconds = len(heard.wave) / SAMPLE_RATE
        wave = self._with_noise(heard.wave, clip, condition)
        began_s = time.perf_counter()
        try:
            text = engine.transcribe(wave)
        except ColdvoxError as error:
            return Outcome(clip, seconds, fault=str(error), warnings=heard.warnings)
        took_s = time.perf_counter() - began_s
        return Outcome(clip, seconds, took_s, text, self._score(clip.reference, text), warnings=heard.warnings)

    def _with_noise(self, wave: Wave, clip: Clip, condition: Condition) -> Wave:
        chance = noise.generator(self._seed, clip.id)
        match condition.noise:
            case Noise.WHITE:
                return noise.added(wave, noise.white(len(wave), chance), condition.snr_db)
            case Noise.BABBLE:
                voices = self._voices(clip, chance)
                return noise.added(wave, noise.babble(voices, len(wave), chance), condition.snr_db)
        return wave

    def _voices(self, clip: Clip, chance: np.random.Generator) -> list[Wave]:
        """Return other clips at random, by other speakers if there are any. Unreadable ones are failures of their own."""
        others = [other for other in self._clips if other.id != clip.id]
        strangers = [other for other in others if not clip.speaker or other.speaker != clip.speaker] or others
        voices: list[Wave] = []
        for index in chance.permutation(len(strangers)):
            with contextlib.suppress(ColdvoxError):
                voices.append(self._read(strangers[int(index)]).wave)
            if len(voices) == BABBLE_VOICES:
                break
        return voices
