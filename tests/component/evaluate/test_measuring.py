"""Clips are recognized by the bundled model: the same as files, with the same noise, and failures are kept."""

from pathlib import Path

import numpy as np
import pytest

from coldvoxd.core.errors import FileFault, ModelMissing, NotSupported
from coldvoxd.core.settings import Settings
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.evaluate import memory
from coldvoxd.evaluate.clips import Clip
from coldvoxd.evaluate.engines import OwnEngine
from coldvoxd.evaluate.measuring import Heard, Measurement
from coldvoxd.evaluate.noise import CLEAN, Condition, Noise
from coldvoxd.evaluate.normalization import Normalization, normalizer
from coldvoxd.evaluate.scoring import scorer
from coldvoxd.evaluate.variants import Variant, changed
from coldvoxd.files.transcription import transcribe_file
from coldvoxd.vad.silero import SileroDetector
from tests.support.sound.speech import samples

MINI = changed(Settings(), {"model": "mini"})
SCORE = scorer(normalizer(Normalization.ENGLISH))
CLIPS = [Clip(sample.name, sample.path, sample.said) for sample in samples()[:3]]


def read(clip: Clip) -> Heard:
    if not clip.path.exists():
        raise FileFault(f"{clip.path} can't be read: no such file")
    return Heard(next(sample.wave() for sample in samples() if sample.path == clip.path))


def test_a_clip_has_the_text_of_its_file() -> None:
    engine = OwnEngine(MINI)
    assert (engine.model, engine.provider, engine.precision) == ("mini", "cpu", "fp32")
    for sample in samples()[:3]:
        from_file = transcribe_file(sample.path, engine.recognizer, SileroDetector())
        assert engine.transcribe(sample.wave()) == from_file.text
    assert engine.transcribe(np.zeros(SAMPLE_RATE, np.float32)) == ""
    engine.close()


def test_noise_is_the_same_for_the_same_seed() -> None:
    conditions = (CLEAN, Condition(Noise.WHITE, -5.0), Condition(Noise.BABBLE, 0.0))
    variant = Variant("mini", MINI)
    texts = []
    for seed in (1, 1, 2):
        runs = Measurement(CLIPS, read, SCORE, conditions=conditions, seed=seed).measure(variant)
        texts.append([[one.text for one in run.outcomes] for run in runs])
    assert texts[0] == texts[1]
    assert texts[0][0] == texts[2][0]
    assert texts[0][1:] != texts[2][1:]


def test_a_clip_that_cannot_be_read_is_a_failure_and_no_voice_of_babble(tmp_path: Path) -> None:
    clips = [*CLIPS, Clip("gone", tmp_path / "gone.flac", "nothing")]
    shown = []
    measurement = Measurement(
        clips,
        read,
        SCORE,
        conditions=(Condition(Noise.BABBLE, 20.0),),
        progress=lambda what, share: shown.append((what, share)),
    )
    (run,) = measurement.measure(Variant("mini", MINI))
    assert [one.clip.id for one in run.failures] == ["gone"]
    assert "gone.flac" in run.failures[0].fault
    assert run.seconds == pytest.approx(sum(len(sample.wave()) for sample in samples()[:3]) / SAMPLE_RATE)
    assert shown[0] == ("loading mini", 0.0)
    assert shown[-1] == ("mini, babble 20 dB", 0.75)


def test_a_model_that_is_missing_ends_the_measurement() -> None:
    with pytest.raises(ModelMissing):
        Measurement(CLIPS, read, SCORE).measure(Variant("gone", changed(MINI, {"model": "no-such-model"})))


def test_a_language_that_the_model_lacks_is_not_ignored() -> None:
    with pytest.raises(NotSupported, match="recognizes 'en' only"):
        Measurement(CLIPS, read, SCORE).measure(Variant("german", changed(MINI, {"language": "de"})))


def test_the_peak_is_measured_from_the_reset_on() -> None:
    memory.reset_peak()
    before = memory.peak_mib()
    block = np.ones(30 << 20, np.uint8)
    with_block = memory.peak_mib()
    assert with_block >= before + 25
    del block
    memory.reset_peak()
    assert memory.peak_mib() <= with_block - 20
