"""Log-mel features compared with the reference preprocessor graphs that onnx-asr ships."""

from importlib.resources import files

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from coldvoxd.core.features import EarlyColumns, log_mel, mel_filterbank
from tests.support.models.exact import exact_log_mel

TOLERANCE = 1e-3


@pytest.fixture(scope="module", params=[80, 128])
def bins(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


@pytest.fixture(scope="module")
def reference(bins: int) -> onnxruntime.InferenceSession:
    graph = files("onnx_asr.preprocessors") / "data" / f"nemo{bins}.onnx"
    return onnxruntime.InferenceSession(graph.read_bytes(), providers=["CPUExecutionProvider"])


def by_reference(session: onnxruntime.InferenceSession, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    features, lengths = session.run(None, {"waveforms": samples[None], "waveforms_lens": np.array([len(samples)])})
    columns: npt.NDArray[np.float32] = features[0, :, : lengths[0]]
    return columns


def noise(count: int, rms: float = 0.1) -> npt.NDArray[np.float32]:
    return np.random.default_rng(count).standard_normal(count, dtype=np.float32) * np.float32(rms)


LENGTHS = [320, 321, 479, 480, 481, 800, 1599, 1600, 1601, 4000, 16_000, 48_123, 163_840, 163_841, 330_001, 960_000]


@pytest.mark.parametrize("count", LENGTHS)
def test_features_equal_the_reference_graph(reference: onnxruntime.InferenceSession, bins: int, count: int) -> None:
    ours, theirs = log_mel(noise(count), bins), by_reference(reference, noise(count))
    assert ours.shape == theirs.shape == (bins, count // 160)
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE, rtol=0)


# Below -60 dBFS a bin hardly exceeds the logarithm's guard, so its deviation is close to zero and the rounding errors
# of the graph's float32 mean grow beyond the tolerance; our mean is computed in float64.
@pytest.mark.parametrize("rms", [1e-3, 1e-2, 1.0])
def test_features_equal_the_reference_graph_at_any_level(
    reference: onnxruntime.InferenceSession, bins: int, rms: float
) -> None:
    np.testing.assert_allclose(
        log_mel(noise(20_000, rms), bins), by_reference(reference, noise(20_000, rms)), atol=TOLERANCE, rtol=0
    )


def test_features_of_a_loud_tone_in_a_little_noise_equal_the_reference_graph(
    reference: onnxruntime.InferenceSession, bins: int
) -> None:
    tone = 0.9 * np.sin(2 * np.pi * 440 * np.arange(32_000) / 16_000).astype(np.float32) + noise(32_000, 1e-3)
    np.testing.assert_allclose(log_mel(tone, bins), by_reference(reference, tone), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("count", "columns"), [(0, 0), (1, 0), (159, 0), (160, 1), (319, 1), (320, 2)])
def test_the_shortest_audio_has_finite_features(bins: int, count: int, columns: int) -> None:
    features = log_mel(noise(count), bins)
    assert features.shape == (bins, columns)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_a_single_column_is_its_own_mean(bins: int) -> None:
    assert not log_mel(noise(200), bins).any()


def test_exact_silence_has_finite_features(bins: int) -> None:
    assert np.isfinite(log_mel(np.zeros(16_000, dtype=np.float32), bins)).all()


def test_the_audio_given_is_left_as_it_was(bins: int) -> None:
    samples = noise(16_000)
    log_mel(samples, bins)
    np.testing.assert_array_equal(samples, noise(16_000))


def test_the_filterbank_equals_the_reference_graphs(bins: int) -> None:
    with (files("onnx_asr.preprocessors") / "data" / "fbanks.npz").open("rb") as file, np.load(file) as banks:
        np.testing.assert_allclose(mel_filterbank(bins), banks[f"nemo{bins}"], atol=1e-7)


def test_a_nearly_constant_bin_is_nearer_to_the_exact_one_than_the_reference_graphs(
    reference: onnxruntime.InferenceSession, bins: int
) -> None:
    """Telephone speech has only the logarithm's guard and faint noise above 3.4 kHz."""
    lines = np.fft.rfft(noise(32_000))
    lines[len(lines) * 34 // 80 :] *= 1e-5
    samples = np.fft.irfft(lines, 32_000).astype(np.float32)
    exact = exact_log_mel(samples, bins)
    ours, theirs = (np.abs(made - exact).max() for made in (log_mel(samples, bins), by_reference(reference, samples)))
    assert ours < 0.01
    assert ours < theirs / 3


@pytest.mark.parametrize("chunk", [512, 10_240, 10_241, 33_333])
@pytest.mark.parametrize("count", [320, 10_239, 10_440, 16_000, 20_680, 48_123, 163_841])
def test_what_was_computed_while_speech_arrived_is_the_same_to_the_last_bit(count: int, chunk: int) -> None:
    """Includes speech that ended before the audio that had arrived by then."""
    samples = noise(count + 9_000)
    early = EarlyColumns(128)
    for begin in range(0, len(samples), chunk):
        early.extend(samples[begin : begin + chunk])
    assert early.samples == len(samples)
    assert early.columns.shape[1] >= (len(samples) - 10_440) // 160 // 64 * 64
    whole = log_mel(samples[:count], 128)
    assert np.array_equal(log_mel(samples[:count], 128, early.columns), whole)
    assert np.array_equal(log_mel(samples[:count], 128, early.columns[:, :64]), whole)


def test_what_was_computed_of_other_bins_is_not_used() -> None:
    early = EarlyColumns(80)
    early.extend(noise(32_000))
    assert np.array_equal(log_mel(noise(32_000), 128, early.columns), log_mel(noise(32_000), 128))


def test_what_was_computed_early_is_what_is_used() -> None:
    early = EarlyColumns(128)
    early.extend(noise(32_000))
    assert not np.array_equal(log_mel(noise(32_000), 128, early.columns + 1), log_mel(noise(32_000), 128))
