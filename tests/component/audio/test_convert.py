"""Converting a stream piece by piece gives the same result as converting it whole."""

import numpy as np
import pytest

from coldvoxd.audio.convert import StreamConverter
from coldvoxd.core.values import SAMPLE_RATE


def tone(rate: int, seconds: float = 2.0) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    samples = np.sin(np.arange(round(rate * seconds)) / rate * 2 * np.pi * 440) * 12_000
    return samples.astype(np.int16)


def test_what_is_wanted_already_passes_bit_exact() -> None:
    converter = StreamConverter(SAMPLE_RATE, 1)
    signal = tone(SAMPLE_RATE)
    assert np.array_equal(converter.convert(signal.tobytes()), signal)


def test_channels_come_out_in_the_order_that_is_wanted_and_bit_exact() -> None:
    stream = np.array([[100, -32_768, 32_767, 1], [200, 5, 6, -2]], np.int16)
    assert StreamConverter(SAMPLE_RATE, 4).convert(stream.tobytes()).tolist() == stream.tolist()
    assert StreamConverter(SAMPLE_RATE, 4, (2, 0)).convert(stream.tobytes()).tolist() == [[32_767, 100], [6, 200]]
    assert StreamConverter(SAMPLE_RATE, 4, (3,)).convert(stream.tobytes()).tolist() == [1, -2]


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 48_000])
def test_a_constant_offset_is_removed_from_a_channel(rate: int) -> None:
    converter = StreamConverter(rate, 2)
    stream = np.stack([tone(rate), tone(rate) // 10 + np.int16(9_000)], axis=1)
    buffer = 2048
    out = np.concatenate(
        [converter.convert(stream[at : at + buffer].tobytes()) for at in range(0, len(stream), buffer)]
    )
    settled = out[SAMPLE_RATE:]
    assert settled.shape[1] == 2
    assert abs(float(settled[:, 1].mean())) < 100
    assert abs(int(settled[:, 0].max()) - 12_000) < 100


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_another_rate_comes_out_as_the_same_tone_without_clicks_between_buffers(rate: int, channels: int) -> None:
    converter = StreamConverter(rate, channels)
    interleaved = np.repeat(tone(rate), channels).tobytes()
    buffer = 512 * rate // SAMPLE_RATE * channels * 2
    out = np.concatenate(
        [
            converter.convert(interleaved[at : at + buffer]).reshape(-1, channels)
            for at in range(0, len(interleaved), buffer)
        ]
    )
    assert (out == out[:, :1]).all()
    out = out[:, 0]
    assert len(out) / SAMPLE_RATE == pytest.approx(2.0, abs=0.1)
    steady = out[3200:27_200].astype(float)
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady)))) ** 2
    peak = int(spectrum.argmax())
    assert peak * SAMPLE_RATE / len(steady) == pytest.approx(440, abs=1)
    assert spectrum[peak - 3 : peak + 4].sum() / spectrum.sum() > 0.99999
