from __future__ import annotations

from importlib.resources import files

import numpy as np
import onnxruntime
import pytest

from mini_parakeet.features import filterbank, log_mel


@pytest.fixture(scope="module")
def published() -> onnxruntime.InferenceSession:
    """The feature graph that onnx-asr carries for Parakeet."""
    data = files("onnx_asr.preprocessors").joinpath("data")
    return onnxruntime.InferenceSession(data.joinpath("nemo128.onnx").read_bytes())


@pytest.mark.parametrize("samples", [320, 1_000, 16_000, 40_123])
def test_features_equal_the_published_graph(published: onnxruntime.InferenceSession, samples: int) -> None:
    wave = (np.random.default_rng(samples).standard_normal(samples) * 0.1).astype(np.float32)
    names = [tensor.name for tensor in published.get_inputs()]
    outputs = published.run(None, dict(zip(names, (wave[None], np.array([samples])), strict=True)))
    features, length = outputs[0][0], int(outputs[1][0])
    mine = log_mel(wave)
    assert mine.shape == (128, samples // 160) == (128, length)
    np.testing.assert_allclose(mine, features[:, :length], atol=2e-3)


@pytest.mark.parametrize("warp", [0.84, 0.9, 1.1, 1.16])
def test_a_warped_filterbank_still_covers_every_bin(warp: float) -> None:
    bank = filterbank(warp)
    assert np.isfinite(bank).all()
    assert (bank.sum(axis=0) > 0).all()


def test_a_warp_above_one_moves_filters_up() -> None:
    centre = [int(filterbank(warp)[:, 60].argmax()) for warp in (0.9, 1.0, 1.1)]
    assert centre == sorted(centre)
    assert centre[0] < centre[2]
