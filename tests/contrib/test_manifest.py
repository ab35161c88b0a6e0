"""The manifest beside the bundled weights matches these weights and these recordings."""

import hashlib

import numpy as np
import soundfile

from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet.silence import MIN_RUN_SAMPLES, zero_runs
from coldvoxd.models.layout import precisions
from tests.support.sound.speech import manifest, mini, samples


def test_the_manifest_names_every_weight_with_its_checksum() -> None:
    """If this fails, run contrib/training/make_manifest.py."""
    files = [path for path in mini().iterdir() if path.suffix in {".onnx", ".data"}]
    files += [mini() / "vocab.txt", mini() / "config.json"]
    assert manifest()["sha256"] == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_manifest_names_every_recording() -> None:
    assert [sample.path for sample in samples()] == sorted((mini() / "samples").iterdir())


def test_recordings_say_in_their_title_what_was_said() -> None:
    for sample in samples():
        with soundfile.SoundFile(sample.path) as file:
            assert file.title == sample.said


def test_the_reference_hears_the_recordings_as_they_were_said() -> None:
    for precision in ("fp32", "int8"):
        right = sum(sample.heard[precision] == sample.said for sample in samples())
        assert right >= 0.9 * len(samples())


def test_recordings_are_16_khz_with_no_exact_silence_and_no_clipping() -> None:
    for sample in samples():
        wave = sample.wave()
        assert len(zero_runs(wave, MIN_RUN_SAMPLES)) == 0
        assert 0.1 < np.abs(wave).max() < 0.9


def test_the_licence_and_the_model_card_are_beside_the_weights() -> None:
    assert "CC BY-SA 4.0" in (mini() / "LICENSE").read_text()
    assert "human voice" in (mini() / "MODEL_CARD.md").read_text()
    for source in ("Free Spoken Digit Dataset", "Picovoice"):
        assert source in (mini() / "LICENSE").read_text()


def test_the_bundled_model_has_both_precisions() -> None:
    assert set(precisions(mini())) == {Precision.FP32, Precision.INT8}
