"""Recordings of other formats are decoded completely, at the times of the whole recording, or refused with the reason."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from coldvoxd.audio.opening import DescriptorFile
from coldvoxd.audio.streams import Content
from coldvoxd.core.errors import FileFault
from coldvoxd.media.decoder import Media, NoAudio, NotMedia, Track
from tests.support.sound import media
from tests.support.sound.media import KINDS, encoded
from tests.support.sound.speech import Wave, samples

WEBM, MKV, MP4 = KINDS["WebM, Opus"], KINDS["Matroska, AC-3"], KINDS["MP4"]


@contextmanager
def in_memory(content: bytes) -> Iterator[int]:
    memory = os.memfd_create("recording")
    os.write(memory, content)
    try:
        yield memory
    finally:
        os.close(memory)


def decoded(content: bytes) -> tuple[npt.NDArray[np.int16], Track, list[str]]:
    """Return the audio, the track and the warnings of a recording."""
    warnings: list[str] = []
    with in_memory(content) as memory:
        found = Media.open(DescriptorFile(memory), "talk", Content(memory))
        try:
            return np.concatenate(list(found.blocks(warnings.append))), found.track, warnings
        finally:
            found.close()


def likeness(wave: Wave, found: npt.NDArray[np.int16]) -> float:
    """Return the greatest normalized correlation of the audio with the wave, at shifts up to 0.15 s."""
    heard = found[:, 0].astype(np.float64)
    size = len(wave) + len(heard) + 1
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(wave, size)), size)
    best = max(product[:2400].max(), product[-2400:].max())
    return float(best / (np.linalg.norm(wave) * np.linalg.norm(heard)))


@pytest.fixture(scope="module")
def wave() -> Wave:
    return samples()[2].wave()


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_decoded(wave: Wave, name: str) -> None:
    kind = KINDS[name]
    found, track, warnings = decoded(encoded(kind, wave))
    assert found.shape[1] == 1 + kind.stereo
    assert len(found) / 16_000 == pytest.approx(len(wave) / 16_000, abs=0.1)
    narrow = soxr.resample(soxr.resample(wave, 16_000, 8_000), 8_000, 16_000) if kind.rate == 8_000 else wave
    assert likeness(narrow, found) > (0.8 if "AMR" in name else 0.9)
    assert (track.number, track.count, warnings) == (1, 1, [])


def test_the_default_track_is_chosen_and_otherwise_the_first(wave: Wave) -> None:
    other = wave[::-1].copy()
    tracks = [media.Track(other, "ger"), media.Track(wave, "eng", is_default=True)]
    found, track, _ = decoded(encoded(MKV, tracks, video_s=4))
    assert likeness(wave, found) > 0.9
    assert track == Track(2, 2, "ac3", "eng")
    found, track, _ = decoded(encoded(MKV, [media.Track(wave, "eng"), media.Track(other, "ger")], video_s=4))
    assert likeness(wave, found) > 0.9
    assert track == Track(1, 2, "ac3", "eng")


def test_a_track_that_begins_later_than_the_picture_is_preceded_by_silence(wave: Wave) -> None:
    found, _, warnings = decoded(encoded(MP4, [media.Track(wave, begin_s=2.0)], video_s=6))
    assert len(found) / 16_000 == pytest.approx(2 + len(wave) / 16_000, abs=0.1)
    assert np.abs(found[: 16_000 * 19 // 10]).max() <= 1
    assert likeness(wave, found[32_000:]) > 0.9
    assert warnings == []


@pytest.mark.parametrize("kind", [WEBM, MKV])
def test_a_gap_between_timestamps_is_silence(wave: Wave, kind: media.Kind) -> None:
    found, _, warnings = decoded(encoded(kind, [media.Track(wave, gaps={1.0: 3.0})]))
    assert len(found) / 16_000 == pytest.approx(3 + len(wave) / 16_000, abs=0.1)
    assert np.abs(found[int(1.2 * 16_000) : int(3.8 * 16_000)]).max() < 40
    assert likeness(wave[16_000:], found[4 * 16_000 :]) > 0.9
    assert warnings == []


@pytest.mark.parametrize("name", ["WebM, Opus", "AAC, ADTS", "AMR", "Matroska, AC-3", "Flash, AAC"])
def test_a_truncated_recording_is_decoded_as_far_as_it_goes(name: str) -> None:
    wave = np.concatenate([sample.wave() for sample in samples()[:4]])
    content = encoded(KINDS[name], wave)
    found, _, warnings = decoded(content[: len(content) * 6 // 10 + 1])
    assert 0.45 * len(wave) < len(found) < 0.75 * len(wave)
    kinds = ("The file ends at 0:0", "The file is truncated at 0:0")
    assert len(warnings) == (1 if name != "Matroska, AC-3" else len(warnings))
    assert all(warning.startswith(kinds) for warning in warnings)


def test_damage_is_reported_with_its_place_and_the_rest_is_decoded_at_its_time(wave: Wave) -> None:
    content = bytearray(encoded(KINDS["MPEG-TS, AAC"], np.tile(wave, 3)))
    damaged = slice(len(content) // 2, len(content) // 2 + len(content) // 20)
    content[damaged] = bytes(len(content[damaged]))
    found, _, warnings = decoded(bytes(content))
    assert len(found) == pytest.approx(3 * len(wave), abs=2000)
    assert likeness(wave, found[2 * len(wave) :]) > 0.9
    assert warnings
    assert all(warning.startswith("The file is damaged ") for warning in warnings)


def test_what_is_no_recording_is_distinguished() -> None:
    contents = {
        "text": b"Dear Sir or Madam,\n" * 50,
        "zeros": bytes(100_000),
        "noise": np.random.default_rng(0).bytes(200_000),
        "subtitles": b"1\n00:00:01,000 --> 00:00:02,000\nYes.\n\n" * 20,
        "playlist": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
    }
    for content in contents.values():
        with pytest.raises(NotMedia):
            decoded(content)


def test_a_playlist_opens_no_other_file(tmp_path: os.PathLike[str], wave: Wave) -> None:
    other = os.path.join(tmp_path, "other.m4a")  # noqa: PTH118
    with open(other, "wb") as file:  # noqa: PTH123
        file.write(encoded(KINDS["M4A"], wave))
    lists = [
        f"ffconcat version 1.0\nfile '{other}'\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{other}\n#EXT-X-ENDLIST\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{other}\n#EXT-X-ENDLIST\n",
    ]
    for playlist in lists:
        with pytest.raises(NotMedia):
            decoded(playlist.encode())


def test_a_recording_that_cannot_be_decoded_is_refused_with_the_reason(wave: Wave) -> None:
    m4a = encoded(KINDS["M4A"], wave)
    silent = encoded(MP4, [], video_s=2)
    faults: dict[bytes, str] = {
        m4a[: len(m4a) // 2]: "is an MPEG-4 container, but cannot be opened .* truncated or damaged; copy it again",
        m4a.replace(b"mp4a", b"enca", 1): "is an MPEG-4 container with encrypted audio, which cannot be decoded",
        encoded(WEBM, wave)[:300]: "has no opus audio that can be decoded|cannot be opened",
    }
    for content, message in faults.items():
        with pytest.raises(FileFault, match=message):
            decoded(content)
    with pytest.raises(
        NoAudio, match="is an MPEG-4 container without an audio track: give the name of a recording with sound"
    ):
        decoded(silent)


def test_the_last_sample_of_a_lossless_recording_is_decoded(wave: Wave) -> None:
    found, _, _ = decoded(encoded(KINDS["WavPack"], wave))
    assert np.array_equal(found[:, 0], np.rint(wave * 32767).astype(np.int16))


def test_a_file_of_several_rates_is_decoded_at_one(wave: Wave) -> None:
    content = encoded(KINDS["AAC, ADTS"], wave) + encoded(
        media.Kind("aac", "adts", "aac", 22_050, stereo=True, bit_rate=64_000), wave
    )
    found, _, _ = decoded(content)
    assert found.shape[1] == 1
    assert len(found) == pytest.approx(2 * len(wave), rel=0.1)
