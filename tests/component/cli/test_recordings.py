"""transcribe accepts pipes and odd names, waits for its turn and reports missing audio, with and without a daemon."""

import asyncio
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from coldvoxd.audio.streams import clock
from coldvoxd.audio.unread_formats import CONVERT
from coldvoxd.cli.exit_codes import Exit
from coldvoxd.cli.pipes import Pipe, PipedFile
from coldvoxd.cli.recordings import complaint
from coldvoxd.core.errors import Stopped
from coldvoxd.models.directories import bundled_directory
from tests.component.cli.conftest import ROOT, Ctl, Result
from tests.support.bus.file_service import transcribing
from tests.support.bus.private_bus import PrivateBus
from tests.support.sound.odd_audio import encoded

SAMPLES = json.loads((bundled_directory() / "manifest.json").read_text())["samples"][:3]
FILES = [bundled_directory() / sample["file"] for sample in SAMPLES]
TEXTS = [sample["heard"]["fp32"] for sample in SAMPLES]
LOCAL = ("--local", "--model", "mini", "--precision", "fp32")


@pytest.fixture(params=["daemon", "local"])
async def options(request: pytest.FixtureRequest, bus: PrivateBus) -> AsyncIterator[tuple[str, ...]]:
    """The options of both ways to transcribe; starts a daemon if one is needed."""
    if request.param == "local":
        yield LOCAL
        return
    async with transcribing(bus):
        yield ()


@contextmanager
def piped(content: bytes) -> Iterator[int]:
    """Yield the reading end of a pipe that delivers the content."""
    reading, writing = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writing, "wb") as pipe:
            pipe.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield reading
    finally:
        os.close(reading)
        writer.join()


async def transcribe(ctl: Ctl, *arguments: str | bytes, stdin: int = asyncio.subprocess.DEVNULL) -> Result:
    return await (await ctl("transcribe", *arguments, stdin=stdin)).ended()


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
async def test_a_recording_comes_through_standard_input(ctl: Ctl, options: tuple[str, ...], name: str) -> None:
    with piped(FILES[0].read_bytes()) as reading:
        assert await transcribe(ctl, *options, name, stdin=reading) == Result(Exit.DONE, f"{TEXTS[0]}\n", "")
    with FILES[1].open("rb") as file:
        assert await transcribe(ctl, *options, name, stdin=file.fileno()) == Result(Exit.DONE, f"{TEXTS[1]}\n", "")


async def test_a_slow_program_in_a_pipe_is_waited_for(ctl: Ctl, options: tuple[str, ...]) -> None:
    content = FILES[0].read_bytes()
    reading, writing = os.pipe()
    command = await ctl("transcribe", *options, "-", FILES[1].as_posix(), stdin=reading)
    os.close(reading)
    for begin in range(0, len(content), 10_000):
        await asyncio.to_thread(os.write, writing, content[begin : begin + 10_000])
        await asyncio.sleep(0.05)
    os.close(writing)
    result = await command.ended()
    assert result == Result(Exit.DONE, f"-: {TEXTS[0]}\n{FILES[1]}: {TEXTS[1]}\n", "")


async def test_substituted_processes_are_files(ctl: Ctl, options: tuple[str, ...]) -> None:
    with piped(FILES[0].read_bytes()) as one, piped(FILES[2].read_bytes()) as other:
        names = [f"/dev/fd/{one}", f"/dev/fd/{other}"]
        command = await ctl("transcribe", *options, *names, pass_fds=(one, other))
        result = await command.ended()
    assert result == Result(Exit.DONE, f"{names[0]}: {TEXTS[0]}\n{names[1]}: {TEXTS[2]}\n", "")


async def test_a_fifo_is_read_where_a_program_writes_to_it_and_refused_where_none_does(
    ctl: Ctl, options: tuple[str, ...], tmp_path: Path
) -> None:
    fifo = tmp_path / "talk.fifo"
    os.mkfifo(fifo)
    result = await transcribe(ctl, *options, str(fifo), str(FILES[0]))
    assert result.exit == Exit.FAILED
    assert result.out == f"{FILES[0]}: {TEXTS[0]}\n"
    assert result.err == (
        f"coldvoxctl: {fifo} delivered nothing: no program writes to it, or the program exited without output\n"
    )
    writing = asyncio.create_task(asyncio.to_thread(fifo.write_bytes, FILES[1].read_bytes()))
    assert (await transcribe(ctl, *options, str(fifo))).out == f"{TEXTS[1]}\n"
    await writing


async def test_what_no_recording_comes_from_is_named_with_a_remedy_and_the_rest_goes_on(
    ctl: Ctl, options: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "letter.wav").write_text("Dear Sir or Madam")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    faults = {
        "missing.wav": "there is no file",
        "socket": "is a socket: give the name of a file",
        "letter.wav": "is not audio in a readable format",
        "empty.wav": "is empty",
        "folder": "has no files: give the name of a folder with recordings",
        "/dev/zero": "is a device: give the name of a file",
        "a\nb": "there is no file",
    }
    names = [str(tmp_path / name) for name in faults]
    result = await transcribe(ctl, *options, "--json", *names, str(FILES[0]))
    assert (result.exit, result.err) == (Exit.FAILED, "")
    for found, name, said in zip(result.objects, names, faults.values(), strict=False):
        assert found["file"] == name
        assert said in found["message"].lower() or said in found["message"]
    assert result.objects[-1]["text"] == TEXTS[0]


async def test_an_empty_pipe_is_reported(ctl: Ctl, options: tuple[str, ...]) -> None:
    with piped(b"") as reading:
        result = await transcribe(ctl, *options, "-", stdin=reading)
    assert (result.exit, result.out) == (Exit.FAILED, "")
    assert result.err.startswith("coldvoxctl: standard input delivered nothing: ")


async def test_a_standard_input_that_is_closed_is_reported(bus: PrivateBus) -> None:
    command = f'exec "{sys.executable}" -m coldvoxd.cli.main transcribe {" ".join(LOCAL)} - <&-'
    shell = await asyncio.create_subprocess_shell(
        command, cwd=ROOT, env=bus.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(shell.communicate(), 60)
    assert (shell.returncode, out) == (Exit.FAILED, b"")
    assert err == b"coldvoxctl: standard input is closed: pipe a recording into it\n"


async def test_a_terminal_is_no_recording(ctl: Ctl, options: tuple[str, ...]) -> None:
    ours, its = os.openpty()
    try:
        result = await transcribe(ctl, *options, "-", stdin=its)
    finally:
        os.close(ours)
        os.close(its)
    assert (result.exit, result.out) == (Exit.FAILED, "")
    assert result.err.startswith("coldvoxctl: standard input is a terminal: pipe a recording into it")


async def test_an_interrupt_ends_the_waiting_for_a_pipe(ctl: Ctl, options: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    command = await ctl("transcribe", *options, "-", stdin=reading)
    os.close(reading)
    await asyncio.to_thread(os.write, writing, bytes(200_000))  # more than the pipe's buffer holds, so it is being read
    command.process.send_signal(signal.SIGINT)
    assert (await command.ended()).exit == Exit.INTERRUPTED
    os.close(writing)


async def test_a_name_that_is_no_text_ends_no_batch(ctl: Ctl, options: tuple[str, ...], tmp_path: Path) -> None:
    name, missing = os.fsencode(tmp_path) + b"/talk\xff\xe4.flac", os.fsencode(tmp_path) + b"/none\xff.flac"
    Path(os.fsdecode(name)).write_bytes(FILES[0].read_bytes())
    plain = await transcribe(ctl, *options, missing, name, str(FILES[1]))
    assert plain.exit == Exit.FAILED
    assert plain.out.encode(errors="surrogateescape") == (name + f": {TEXTS[0]}\n{FILES[1]}: {TEXTS[1]}\n".encode())
    as_json = await transcribe(ctl, *options, "--json", missing, name, str(FILES[1]))
    assert as_json.exit == Exit.FAILED
    assert as_json.out.isascii()
    assert [os.fsencode(found["file"]) for found in as_json.objects] == [missing, name, os.fsencode(FILES[1])]
    assert [found.get("text") for found in as_json.objects] == [None, *TEXTS[:2]]


async def test_a_warning_stands_on_stderr_and_in_json(ctl: Ctl, options: tuple[str, ...], tmp_path: Path) -> None:
    content = FILES[0].read_bytes()
    cut = tmp_path / "cut.flac"
    cut.write_bytes(content[: len(content) * 2 // 3])
    plain = await transcribe(ctl, *options, str(cut))
    assert plain.exit == Exit.DONE
    assert plain.out.strip()
    assert plain.err.startswith(f"coldvoxctl: {cut}: The file ends at 0:0")
    assert len(plain.err.splitlines()) == 1
    as_json = await transcribe(ctl, *options, "--json", str(cut))
    assert as_json.err == ""
    (found,) = as_json.objects
    assert plain.err == f"coldvoxctl: {cut}: {found['warnings'][0]}\n"


async def test_the_words_of_joined_recordings_are_all_there(ctl: Ctl, options: tuple[str, ...], tmp_path: Path) -> None:
    (one, rate), (other, _) = (soundfile.read(file, dtype="float32") for file in FILES[:2])
    wavs = [encoded(wave, "WAV", rate) for wave in (one, other)]
    files = {
        "joined.wav": b"".join(wavs),
        "mixed.wav": wavs[0] + encoded(soxr.resample(other, rate, 44_100), "MP3", 44_100),
        "tagged.wav": b"".join(wavs) + b"TAG" + bytes(125),
        "behind.wav": b"".join(wavs) + b"something else" * 7,
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    result = await transcribe(ctl, *options, *(str(tmp_path / name) for name in files))
    assert result.exit == Exit.DONE
    assert result.out == "".join(f"{tmp_path / name}: {TEXTS[0]} {TEXTS[1]}\n" for name in files)
    at = clock((len(one) + len(other)) / rate)
    assert result.err == (
        f"coldvoxctl: {tmp_path / 'behind.wav'}: At {at} the file holds 98 bytes that are neither audio nor a tag: "
        "they were skipped.\n"
    )


async def test_many_commands_at_once_wait_for_their_turn(bus: PrivateBus, ctl: Ctl) -> None:
    async with transcribing(bus, most_jobs=2):
        commands = [await ctl("transcribe", str(FILES[number % 3])) for number in range(12)]
        results = await asyncio.gather(*(command.ended(within_s=240) for command in commands))
    assert [(result.exit, result.err) for result in results] == [(Exit.DONE, "")] * 12
    assert [result.out for result in results] == [f"{TEXTS[number % 3]}\n" for number in range(12)]


async def test_an_interrupt_ends_the_waiting_for_a_turn(bus: PrivateBus, ctl: Ctl) -> None:
    ours, its = os.openpty()
    async with transcribing(bus, most_jobs=0):
        command = await ctl("transcribe", str(FILES[0]), stderr=its)
        os.close(its)
        assert "queued" in (await asyncio.to_thread(os.read, ours, 1 << 12)).decode()
        command.process.send_signal(signal.SIGINT)
        assert (await command.ended()).exit == Exit.INTERRUPTED
    os.close(ours)


def test_a_pipe_without_end_is_no_memory_without_end() -> None:
    memory = os.memfd_create("recording")
    with piped(bytes(50_000)) as reading:
        pipe = Pipe(reading, "standard input", lambda: False)
        assert not pipe.receive(memory, 40_000)
    assert os.fstat(memory).st_size == pipe.received == 40_000
    os.close(memory)


def test_a_long_pipe_is_a_file_that_is_read_once() -> None:
    content = np.random.default_rng(0).bytes(300_000)
    memory = os.memfd_create("recording")
    with piped(content) as reading:
        pipe = Pipe(reading, "standard input", lambda: False)
        assert not pipe.receive(memory, 70_000)
        file = PipedFile(memory, pipe)
        assert not file.seekable()
        assert file.read() == content
    assert os.fstat(memory).st_size == 0
    os.close(memory)


def test_waiting_for_a_pipe_ends_when_asked_to() -> None:
    reading, writing = os.pipe()
    memory = os.memfd_create("recording")
    with pytest.raises(Stopped):
        Pipe(reading, "standard input", lambda: True).receive(memory, 1000)
    for descriptor in (reading, writing, memory):
        os.close(descriptor)


async def test_errors_have_the_same_names_with_and_without_the_daemon(
    bus: PrivateBus, ctl: Ctl, tmp_path: Path
) -> None:
    sample = FILES[0].read_bytes()
    contents = {
        "letter.wav": b"Dear Sir or Madam",
        "empty.wav": b"",
        "e": b"",
        "talk.m4a": b"\0\0\0\x10ftypM4A \0\0\0\0" + bytes(500),
        "nan.wav": encoded(np.full(16_000, np.nan, np.float32), "WAV", subtype="FLOAT"),
        "short.flac": sample[:100],
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    names = [*(str(tmp_path / name) for name in contents), str(tmp_path / "missing.wav"), str(tmp_path)]
    alone = await transcribe(ctl, *LOCAL, "--json", "--channel", "2", *names, str(FILES[0]))
    async with transcribing(bus):
        through = await transcribe(ctl, "--json", "--channel", "2", *names, str(FILES[0]))
    assert through.exit == alone.exit == Exit.FAILED
    assert through.objects == alone.objects
    assert {found["error"] for found in alone.objects} == {"InvalidOption", "FileFault"}


async def test_each_of_several_files_is_named_in_its_error(ctl: Ctl, options: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("e", "file"):
        (tmp_path / name).touch()
    command = await ctl("transcribe", *options, str(tmp_path / "e"), str(tmp_path / "file"))
    result = await command.ended()
    assert result.err == "".join(
        f"coldvoxctl: {tmp_path / name} is empty: record it again, or copy it again from the original.\n"
        for name in ("e", "file")
    )


async def test_the_command_that_converts_a_recording_can_be_typed(
    ctl: Ctl, options: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / "my talk (1).m4a"
    file.write_bytes(np.random.default_rng(3).bytes(500))
    result = await transcribe(ctl, *options, str(file))
    assert result.exit == Exit.FAILED
    command = result.err.split("`")[1]
    assert shlex.split(command) == [
        "ffmpeg",
        "-i",
        str(file),
        "-ar",
        "16000",
        "-ac",
        "1",
        str(file.with_suffix(".flac")),
    ]


@pytest.mark.parametrize(
    ("name", "source", "target"),
    [
        ("talk.m4a", "talk.m4a", "talk.flac"),
        ("-talk.flac", "./-talk.flac", "./-talk-converted.flac"),
        ("it's.m4a", "it's.m4a", "it's.flac"),
        ("it's\n\x1b\\.m4a", "it's\n\x1b\\.m4a", "it's\n\x1b\\.flac"),
        (os.fsdecode(b"\xff.m4a"), os.fsdecode(b"\xff.m4a"), os.fsdecode(b"\xff.flac")),
    ],
)
def test_a_shell_reads_the_names_in_the_command(name: str, source: str, target: str) -> None:
    said = complaint(name, f"The file is too loud: {CONVERT}.")
    command = said.split("`")[1]
    shell = subprocess.run(
        ["bash", "-c", f"ffmpeg() {{ printf '%s\\0' \"$@\"; }}; {command}"], capture_output=True, check=True
    )
    words = [os.fsdecode(word) for word in shell.stdout.split(b"\0")[:-1]]
    assert words == ["-i", source, "-ar", "16000", "-ac", "1", target]


async def test_decoders_print_nothing_of_their_own(ctl: Ctl, options: tuple[str, ...], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 9 * 16_000).astype(np.float32)
    names = []
    for seed in range(12):
        content = bytearray(encoded(noise, "MP3"))
        for at in np.random.default_rng(seed).integers(0, len(content), 30):
            content[at] ^= 0x5A
        names.append(tmp_path / f"{seed}.mp3")
        names[-1].write_bytes(content)
    result = await (await ctl("transcribe", *options, *map(str, names))).ended(within_s=150)
    assert all(line.startswith(f"coldvoxctl: {tmp_path}") for line in result.err.splitlines())
