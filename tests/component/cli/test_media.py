"""coldvoxctl transcribe decodes recordings of any format itself, with and without a daemon."""

import asyncio
import os
import signal
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.cli.recordings import HEAD_BYTES
from coldvoxd.media import library
from tests.component.cli.conftest import Ctl, Result
from tests.component.cli.test_transcribe import plain
from tests.support.bus.file_service import transcribing
from tests.support.bus.private_bus import PrivateBus
from tests.support.eventually import eventually
from tests.support.sound.media import KINDS, Track, encoded
from tests.support.sound.odd_audio import wav
from tests.support.sound.speech import samples

LOCAL = ("--local", "--model", "mini", "--precision", "fp32")
SAMPLE = samples()[0]
TEXT = SAMPLE.heard["fp32"]


@pytest.fixture(params=["daemon", "local"])
async def options(request: pytest.FixtureRequest, bus: PrivateBus) -> AsyncIterator[tuple[str, ...]]:
    """The options of both ways to transcribe; starts a daemon if one is needed."""
    if request.param == "local":
        yield LOCAL
        return
    async with transcribing(bus):
        yield ()


async def transcribe(ctl: Ctl, *arguments: str, stdin: int = asyncio.subprocess.DEVNULL) -> Result:
    return await (await ctl("transcribe", *arguments, stdin=stdin)).ended(within_s=150)


@contextmanager
def piped(parts: Iterator[bytes]) -> Iterator[int]:
    """Yield the reading end of a pipe that delivers the parts."""
    reading, writing = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            for part in parts:
                pipe.write(part)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield reading
    finally:
        os.close(reading)
        writer.join()


@pytest.mark.heavy
async def test_recordings_of_many_kinds_have_the_text_of_the_wav_file(
    ctl: Ctl, options: tuple[str, ...], tmp_path: Path
) -> None:
    files = []
    for kind in KINDS.values():
        recording = tmp_path / f"talk.{kind.suffix}"
        recording.write_bytes(encoded(kind, SAMPLE.wave()))
        files.append(str(recording))
    result = await transcribe(ctl, *options, "--json", *files)
    assert (result.exit, result.err) == (Exit.DONE, "")
    for found, file in zip(result.objects, files, strict=True):
        assert found["file"] == file
        assert plain(found["text"]) == plain(TEXT)
        assert found["duration"] == pytest.approx(len(SAMPLE.wave()) / 16_000, abs=0.1)
        assert found["warnings"] == []
        assert found["track"]["number"] == found["track"]["count"] == 1


async def test_a_video_with_several_tracks_says_which_was_transcribed(
    ctl: Ctl, options: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "film.mkv"
    tracks = [Track(SAMPLE.wave()[::-1].copy(), "ger"), Track(SAMPLE.wave(), "eng", is_default=True, begin_s=2.0)]
    file.write_bytes(encoded(KINDS["Matroska, AC-3"], tracks, video_s=5))
    as_json = await transcribe(ctl, *options, "--json", str(file))
    (found,) = as_json.objects
    assert plain(found["text"]) == plain(TEXT)
    assert found["track"] == {"number": 2, "count": 2, "codec": "ac3", "language": "eng"}
    assert found["words"][0]["start"] >= 1.9
    assert found["warnings"] == ["The file has 2 audio tracks: number 2 (eng) was transcribed."]
    for_people = await transcribe(ctl, *options, str(file))
    assert for_people.out == f"{found['text']}\n"
    assert for_people.err == f"coldvoxctl: {file}: {found['warnings'][0]}\n"


async def test_what_cannot_be_decoded_is_reported_in_its_place(
    ctl: Ctl, options: tuple[str, ...], tmp_path: Path
) -> None:
    m4a = encoded(KINDS["M4A"], SAMPLE.wave())
    contents = {
        "cut.m4a": (m4a[: len(m4a) // 2], "is an MPEG-4 container, but cannot be opened"),
        "protected.m4a": (m4a.replace(b"mp4a", b"enca", 1), "with encrypted audio"),
        "silent.mp4": (encoded(KINDS["MP4"], [], video_s=2), "without an audio track"),
        "letter.m4a": (b"Dear Sir or Madam", "is not audio in a readable format"),
        "picture.png": (b"\x89PNG\r\n\x1a\n" + bytes(1000), "is a picture: give the name of a recording"),
    }
    for name, (content, _) in contents.items():
        (tmp_path / name).write_bytes(content)
    files = [*(str(tmp_path / name) for name in contents), str(SAMPLE.path)]
    result = await transcribe(ctl, *options, "--json", *files)
    assert (result.exit, result.err) == (Exit.FAILED, "")
    for found, file, (_, message) in zip(result.objects, files, contents.values(), strict=False):
        assert found["file"] == file
        assert found["message"].startswith(file)
        assert message in found["message"]
    assert result.objects[-1]["text"] == TEXT


async def test_a_truncated_recording_is_transcribed_with_a_warning(
    ctl: Ctl, options: tuple[str, ...], tmp_path: Path
) -> None:
    content = encoded(KINDS["WebM, Opus"], np.concatenate([sample.wave() for sample in samples()[:4]]))
    file = tmp_path / "cut.webm"
    file.write_bytes(content[: len(content) * 2 // 3])
    result = await transcribe(ctl, *options, str(file))
    assert result.exit == Exit.DONE
    assert result.out.strip()
    assert result.err.startswith(f"coldvoxctl: {file}: The file ends at 0:0")


async def test_other_formats_come_through_pipes_too(ctl: Ctl, options: tuple[str, ...]) -> None:
    for name in ("MP4", "WebM, Opus"):
        with piped(iter([encoded(KINDS[name], SAMPLE.wave())])) as reading:
            result = await transcribe(ctl, *options, "-", stdin=reading)
        assert (result.exit, plain(result.out)) == (Exit.DONE, plain(TEXT))


@pytest.mark.heavy
@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF], ids=["no size", "no known size"])
async def test_a_long_wav_of_unknown_length_comes_through_a_pipe_and_is_not_kept_in_memory(
    ctl: Ctl, options: tuple[str, ...], size: int
) -> None:
    minutes, wave = 36, SAMPLE.wave()  # more than `HEAD_BYTES`, and than a piece
    head = wav(np.zeros(0, np.float32), riff_size=0xFFFF_FFFF, data_size=size)
    speech, silence = (wave * 32767).astype("<i2").tobytes(), bytes(60 * 32_000)

    def parts() -> Iterator[bytes]:
        yield head
        for _ in range(minutes):
            yield silence
        yield speech

    with piped(parts()) as reading:
        command = await ctl("transcribe", *options, "--json", "-", stdin=reading)
        result = await command.ended(within_s=600)
    (found,) = result.objects
    assert plain(found["text"]) == plain(TEXT)
    assert found["words"][0]["start"] >= minutes * 60
    assert found["duration"] == pytest.approx(minutes * 60 + len(wave) / 16_000, abs=0.1)


async def test_without_pyav_the_command_that_installs_it_is_named(bus: PrivateBus, ctl: Ctl, tmp_path: Path) -> None:
    """Python finds the metadata of a version that is too old first."""
    old = tmp_path / "packages" / "av-1.0.dist-info"
    old.mkdir(parents=True)
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: av\nVersion: 1.0\n")
    environment = {**bus.environment, "PYTHONPATH": str(old.parent)}
    file = tmp_path / "talk.m4a"
    file.write_bytes(encoded(KINDS["M4A"], SAMPLE.wave()))
    async with transcribing(bus):
        for options in (LOCAL, ()):
            command = await ctl("transcribe", *options, str(file), str(SAMPLE.path), environment=environment)
            result = await command.ended(within_s=100)
            assert (result.exit, result.out) == (Exit.FAILED, f"{SAMPLE.path}: {TEXT}\n")
            assert result.err == (
                f"coldvoxctl: {file} is an MPEG-4 container with AAC audio, which is not read: convert it, for instance with "
                f"`ffmpeg -i {file} -ar 16000 -ac 1 {file.with_suffix('.flac')}`, or install PyAV, with which coldvoxctl reads it: "
                f"`{library.install_command()}`.\n"
            )


def test_the_command_that_installs_pyav_is_that_of_the_environment(tmp_path: Path) -> None:
    assert library.install_command(tmp_path / "a venv") == (
        f"'{tmp_path}/a venv/bin/python' -m pip install 'av>=18,<20'"
    )
    (tmp_path / "pipx_metadata.json").touch()
    assert library.install_command(tmp_path) == "pipx inject coldvoxd 'av>=18,<20'"


async def test_an_interrupt_ends_the_waiting_for_a_long_pipe(ctl: Ctl, options: tuple[str, ...]) -> None:
    """The pipe is longer than what is kept in memory, and is being decoded."""
    head = bytearray(wav(np.zeros(0, np.float32), riff_size=0xFFFF_FFFF, data_size=0xFFFF_FFFF))
    head[22:36] = struct.pack("<HIIHH", 8, 96_000, 8 * 96_000 * 2, 8 * 2, 16)  # 44 s of 8 channels
    reading, writing = os.pipe()
    command = await ctl("transcribe", *options, "-", stdin=reading)
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        await asyncio.to_thread(pipe.write, bytes(head) + bytes(HEAD_BYTES + (1 << 20)))
        await asyncio.to_thread(pipe.flush)
        command.process.send_signal(signal.SIGINT)
        assert (await command.ended(within_s=100)).exit == Exit.INTERRUPTED


async def test_an_interrupt_ends_the_decoding_and_the_job(bus: PrivateBus, ctl: Ctl, tmp_path: Path) -> None:
    long = tmp_path / "long.wv"
    noise = np.random.default_rng(1).normal(0, 0.01, 600 * 16_000).astype(np.float32)
    long.write_bytes(encoded(KINDS["WavPack"], noise))
    async with transcribing(bus) as daemon:
        command = await ctl("transcribe", str(long))
        await eventually(lambda: daemon.service._file_calls._owners, what="the job")
        command.process.send_signal(signal.SIGINT)
        assert (await command.ended()).exit == Exit.INTERRUPTED
        await eventually(lambda: not daemon.service._file_calls._owners, what="the end of the job")


async def test_a_daemon_that_ends_in_a_piece_is_reported(bus: PrivateBus, ctl: Ctl, tmp_path: Path) -> None:
    long = tmp_path / "long.wv"
    long.write_bytes(encoded(KINDS["WavPack"], np.zeros(600 * 16_000, np.float32)))
    async with transcribing(bus) as daemon:
        command = await ctl("transcribe", "--json", str(long))
        await eventually(lambda: daemon.service._file_calls._owners, what="the job")
        await daemon.connection.aclose()
        result = await command.ended()
    assert (result.exit, result.error["error"]) == (Exit.UNREACHABLE, "DaemonUnreachable")
