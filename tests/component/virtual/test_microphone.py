"""The virtual microphone, controlled over its real socket, and the capture that handles its faults."""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coldvoxd.capture.state import CaptureCondition
from coldvoxd.core.audio_values import Chunk, Frame, Gap, GapReason
from coldvoxd.core.errors import CaptureFault
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.virtual import client
from coldvoxd.virtual.client import CommandRefused
from coldvoxd.virtual.microphone import CHUNK_S, LATE_S, QUIET_CHUNKS, VirtualMicrophone
from tests.support.eventually import PATIENCE_S, eventually, eventually_blocking
from tests.support.sound.known_signal import heard_at, known_signal
from tests.support.sound.observed_stream import Watched, watched


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="coldvox-") as directory:
        yield Path(directory) / "microphone"


@pytest.fixture
def microphone(socket_path: Path) -> Iterator[VirtualMicrophone]:
    microphone = VirtualMicrophone(socket_path)
    yield microphone
    microphone.shutdown()


@pytest.fixture
async def watch(microphone: VirtualMicrophone) -> AsyncIterator[Watched]:
    async with watched(microphone) as watch:
        await eventually(watch.is_open)
        yield watch


async def tell(socket_path: Path, line: str) -> str:
    return await asyncio.to_thread(client.command, socket_path, line)


def heard(chunks: list[Chunk]) -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    return np.concatenate([chunk.samples for chunk in chunks])


def test_what_is_spoken_is_heard_bit_exact_between_silence_without_a_single_zero(
    microphone: VirtualMicrophone, socket_path: Path
) -> None:
    signal = known_signal(1.0)
    soundfile.write(socket_path.with_name("a b.wav"), signal, SAMPLE_RATE, subtype="PCM_16")
    chunks: list[Chunk] = []
    assert microphone.open(chunks.append).latency_s == 0.0
    eventually_blocking(lambda: len(chunks) > 3)
    assert client.command(socket_path, f"SPEAK {socket_path.with_name('a b.wav')}") == "1.000"
    count = len(chunks)
    eventually_blocking(lambda: len(chunks) > count + 3)
    microphone.close()
    samples = heard(chunks)
    at = heard_at(samples, signal)
    silence = np.concatenate([samples[:at], samples[at + len(signal) :]])
    assert np.abs(silence).min() >= 1
    assert np.abs(silence).max() <= 3


def test_a_recording_of_another_rate_and_channel_count_is_converted(
    microphone: VirtualMicrophone, socket_path: Path
) -> None:
    tone = np.sin(np.arange(44_100) / 44_100 * 2 * np.pi * 440) * 0.5
    file = socket_path.with_name("tone.flac")
    soundfile.write(file, np.stack([tone, tone], axis=1), 44_100)
    chunks: list[Chunk] = []
    microphone.open(chunks.append)
    assert client.command(socket_path, f"SPEAK {file}") == "1.000"
    microphone.close()
    loud = heard(chunks).astype(float)
    loud = loud[np.flatnonzero(np.abs(loud) > 100)[0] :][2000:14_000]
    spectrum = np.abs(np.fft.rfft(loud * np.hanning(len(loud))))
    assert spectrum.argmax() * SAMPLE_RATE / len(loud) == pytest.approx(440, abs=2)
    assert np.abs(loud).max() == pytest.approx(16_384, rel=0.02)


def test_zeros_are_exact_and_noise_has_the_level_asked_for(microphone: VirtualMicrophone, socket_path: Path) -> None:
    chunks: list[Chunk] = []
    microphone.open(chunks.append)
    assert client.command(socket_path, "ZEROS 200") == "0.200"
    assert client.command(socket_path, "NOISE 500 -20") == "0.500"
    assert client.command(socket_path, "SILENCE 100") == "0.100"
    microphone.close()
    samples = heard(chunks)
    assert int((samples == 0).sum()) >= 3200
    start = np.flatnonzero(samples == 0)[3199] + 1
    rms = np.sqrt(np.mean((samples[start : start + 8000] / 32768.0) ** 2))
    assert 20 * np.log10(rms) == pytest.approx(-20, abs=0.5)


def test_chunks_come_in_real_time_and_none_after_close(microphone: VirtualMicrophone, socket_path: Path) -> None:
    chunks: list[Chunk] = []
    microphone.open(chunks.append)
    client.command(socket_path, "SILENCE 960")
    microphone.close()
    count = len(chunks)
    assert 28 <= count <= 35
    assert client.command(socket_path, "SILENCE 100") == "0.100", "time passes whether or not a capture is open"
    assert len(chunks) == count
    assert chunks[-1].arrived_s - chunks[0].arrived_s == pytest.approx((count - 1) * 0.032, abs=0.3)


def test_unplugged_it_ends_and_cannot_be_opened_until_it_is_plugged_in(
    microphone: VirtualMicrophone, socket_path: Path
) -> None:
    microphone.open(lambda _: None)
    assert microphone.is_delivering()
    client.command(socket_path, "UNPLUG")
    assert not microphone.is_delivering()
    with pytest.raises(CaptureFault, match="PLUG"):
        microphone.open(lambda _: None)
    assert client.command(socket_path, "STATUS") == "open=no plugged=no stalled=no queued_s=0.000"
    client.command(socket_path, "PLUG")
    microphone.open(lambda _: None)
    assert client.command(socket_path, "STATUS") == "open=yes plugged=yes stalled=no queued_s=0.000"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("SING", "unknown command 'SING'; there are SPEAK FILE"),
        ("SPEAK /nowhere.wav", "/nowhere.wav cannot be played"),
        ("SILENCE soon", "invalid literal"),
        ("STALL -5", "-5 ms is not between 0 and an hour"),
        ("NOISE 100 6", "6 dBFS is above full scale"),
        ("", "unknown command"),
    ],
)
def test_a_wrong_command_is_answered_with_what_is_wrong(
    microphone: VirtualMicrophone, socket_path: Path, line: str, said: str
) -> None:
    microphone.open(lambda _: None)
    with pytest.raises(CommandRefused, match=said):
        client.command(socket_path, line)


def test_the_socket_is_its_owners_alone_replaces_a_dead_one_and_respects_a_living_one(
    microphone: VirtualMicrophone, socket_path: Path
) -> None:
    microphone.open(lambda _: None)
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
    with pytest.raises(CaptureFault, match="another daemon"):
        VirtualMicrophone(socket_path).open(lambda _: None)
    left_behind = socket_path.with_name("left-behind")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(left_behind))
    other = VirtualMicrophone(left_behind)
    other.open(lambda _: None)
    assert client.command(left_behind, "STATUS").startswith("open=yes")
    other.shutdown()
    assert not left_behind.exists()


def test_the_client_program_prints_the_answer_and_tells_failure_by_its_exit_code(
    microphone: VirtualMicrophone, socket_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    microphone.open(lambda _: None)
    assert client.main([str(socket_path), "SILENCE", "50"]) == 0
    assert capsys.readouterr().out == "0.050\n"
    assert client.main([str(socket_path), "SING"]) == 1
    assert "unknown command" in capsys.readouterr().err
    assert client.main([str(socket_path.with_name("absent")), "STATUS"]) == 1
    assert client.main([]) == 2


async def test_the_keeper_turns_chunks_into_the_frames_that_were_spoken(watch: Watched, socket_path: Path) -> None:
    signal = known_signal(1.0)
    file = socket_path.with_name("signal.wav")
    soundfile.write(file, signal, SAMPLE_RATE, subtype="PCM_16")
    began_s = time.monotonic()
    await tell(socket_path, f"SPEAK {file}")
    await tell(socket_path, "SILENCE 100")
    at = heard_at(watch.samples, signal)
    assert watch.gaps == []
    assert watch.keeper.sample_at(began_s) == pytest.approx(at, abs=0.2 * SAMPLE_RATE)


async def test_where_nobody_is_in_a_hurry_audio_is_told_in_portions(watch: Watched, socket_path: Path) -> None:
    portions: list[int] = [0]
    loop = asyncio.get_running_loop()

    def count(_item: Frame | Gap) -> None:
        if portions[-1] == 0:
            loop.call_soon(portions.append, 0)
        portions[-1] += 1

    watch.keeper._on_item = count
    watch.keeper.attend(False)
    await tell(socket_path, "SILENCE 2500")
    told = portions[1:-1]  # the first started earlier
    assert told
    assert min(told) >= 24


async def test_unplugging_is_told_in_time_and_the_closed_time_counts(watch: Watched, socket_path: Path) -> None:
    unplugged_s = time.monotonic()
    await tell(socket_path, "UNPLUG")
    await eventually(watch.is_lost)
    assert watch.when(CaptureCondition.LOST) - unplugged_s < 2.0
    assert "gone" in watch.states[-1][1].reason or "unplugged" in watch.states[-1][1].reason
    await eventually(lambda: "send it PLUG" in watch.keeper.state.reason)
    await eventually(lambda: time.monotonic() - unplugged_s > 3.0)
    plugged_s = time.monotonic()
    await tell(socket_path, "PLUG")
    await eventually(watch.is_open)
    (gap,) = watch.gaps
    assert gap.reason is GapReason.REOPENED
    assert gap.samples / SAMPLE_RATE == pytest.approx(plugged_s - unplugged_s, abs=2.5)
    assert watch.keeper.sample_at(plugged_s) - watch.keeper.sample_at(unplugged_s) == pytest.approx(
        (plugged_s - unplugged_s) * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE
    )


async def test_a_stream_that_stands_still_is_given_up_and_reopened(watch: Watched, socket_path: Path) -> None:
    stalled_s = time.monotonic()
    await tell(socket_path, "STALL 2500")
    await eventually(watch.is_lost)
    assert watch.when(CaptureCondition.LOST) - stalled_s < 2.0
    await eventually(watch.is_open)
    (gap,) = watch.gaps
    assert gap.reason is GapReason.REOPENED
    assert gap.samples / SAMPLE_RATE == pytest.approx(2.5, abs=0.5)


async def test_a_short_stall_is_lost_audio_of_that_length(watch: Watched, socket_path: Path) -> None:
    await tell(socket_path, "STALL 700")
    await eventually(lambda: watch.gaps)
    (gap,) = watch.gaps
    assert gap.reason is GapReason.STALLED
    assert gap.samples / SAMPLE_RATE == pytest.approx(0.7, abs=0.15)
    assert watch.is_open()


async def test_an_overrun_is_a_gap_at_once(watch: Watched, socket_path: Path) -> None:
    await tell(socket_path, "OVERRUN 400")
    await eventually(lambda: watch.gaps)
    await tell(socket_path, "SILENCE 2000")
    (gap,) = watch.gaps
    assert gap.reason is GapReason.OVERRUN
    assert gap.samples / SAMPLE_RATE == pytest.approx(0.4, abs=0.15)


@pytest.mark.heavy
async def test_waiting_for_a_processor_loses_nothing(microphone: VirtualMicrophone) -> None:
    """Another process takes the processor from the microphone's thread, as a busy machine does."""
    if os.sched_getscheduler(0) == os.SCHED_IDLE and os.geteuid():
        pytest.skip("at idle priority only root can run the other process at a higher one")
    chunks: list[Chunk] = []
    microphone.open(chunks.append)
    player = next(thread for thread in threading.enumerate() if thread.name == "virtual-microphone")
    assert player.native_id is not None
    processor = min(os.sched_getaffinity(0))
    os.sched_setaffinity(player.native_id, {processor})
    os.sched_setscheduler(player.native_id, os.SCHED_IDLE, os.sched_param(0))
    late_s = LATE_S + 2 * QUIET_CHUNKS * CHUNK_S

    def is_late() -> bool:
        since_s = time.monotonic() - chunks[-1].arrived_s if chunks else 0.0
        return longest_break_s(chunks) > late_s or since_s > late_s

    # Linux lets the thread run beside a single busy process whenever that one has used its share.
    async with asyncio.timeout(PATIENCE_S):
        while not is_late():
            with running_busily(processor) as busy, running_busily(processor):
                await eventually(lambda busy=busy: is_late() or busy.poll() is not None)  # type: ignore[misc]
    count = len(chunks)
    await eventually(lambda: len(chunks) > count + 1 / CHUNK_S, what="the audio that was late")
    assert not any(chunk.overflow for chunk in chunks)


async def test_waiting_for_a_thread_that_waits_for_a_processor_loses_nothing(socket_path: Path) -> None:
    """Another thread has the interpreter's lock and gets no processor, so the microphone's thread waits for the lock."""
    program = (
        "import os, sys, threading\nfrom pathlib import Path\n"
        "from coldvoxd.virtual.microphone import VirtualMicrophone\n"
        "microphone = VirtualMicrophone(Path(sys.argv[1]))\n"
        "microphone.open(lambda chunk: print(chunk.arrived_s, int(chunk.overflow), flush=True))\n"
        "os.sched_setaffinity(0, {int(sys.argv[2])})\n"
        "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\n"
        "while True: pass\n"
    )
    processor = min(os.sched_getaffinity(0))
    command = [sys.executable, "-c", program, str(socket_path), str(processor)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        stdout = process.stdout
        assert stdout is not None

        async def chunk() -> tuple[float, bool]:
            arrived_s, overflow = (await asyncio.to_thread(stdout.readline)).split()
            return float(arrived_s), overflow == "1"

        try:
            async with asyncio.timeout(PATIENCE_S):
                last_s, lost = await chunk()
                late = False
                while not late:
                    with running_busily(processor) as busy, running_busily(processor):
                        while not late and busy.poll() is None:
                            (arrived_s, overflow), before_s = await chunk(), last_s
                            late = arrived_s - before_s > LATE_S + 2 * QUIET_CHUNKS * CHUNK_S
                            last_s, lost = arrived_s, lost or overflow
                for _ in range(int(1 / CHUNK_S)):
                    lost = (await chunk())[1] or lost
            assert not lost
        finally:
            process.kill()


@pytest.mark.heavy
async def test_a_stopped_process_loses_audio(socket_path: Path) -> None:
    """The process was not ready to run, so the audio of that time is lost."""
    program = (
        "import sys, threading\nfrom pathlib import Path\n"
        "from coldvoxd.virtual.microphone import VirtualMicrophone\n"
        "microphone = VirtualMicrophone(Path(sys.argv[1]))\n"
        "microphone.open(lambda chunk: print(chunk.overflow, flush=True))\n"
        "threading.Event().wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(socket_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "False\n"
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(2 * LATE_S)
            process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(PATIENCE_S):
                while await asyncio.to_thread(process.stdout.readline) != "True\n":
                    assert process.poll() is None
        finally:
            process.kill()


@contextlib.contextmanager
def running_busily(processor: int) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a process that uses all of one processor, until it is killed or the context ends.

    As root it has a real-time priority, for at most 5 s: it leaves the processor to others in 50 ms of a second. A process of
    normal priority only makes them wait for long if it has a higher priority than they have, and if little else runs.
    """
    program = (
        "import os, sys, time\n"
        f"os.sched_setaffinity(0, {{{processor}}})\n"
        "try:\n    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))\n    end_s = time.monotonic() + 5\n"
        "except OSError:\n    end_s = float('inf')\n"
        "while time.monotonic() < end_s: pass"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        try:
            yield process
        finally:
            process.kill()


def longest_break_s(chunks: Sequence[Chunk]) -> float:
    """Return the longest time from one chunk to the next."""
    return max((later.arrived_s - chunk.arrived_s for chunk, later in pairwise(chunks)), default=0.0)


async def test_a_loop_that_stood_still_for_longer_than_the_inbox_loses_the_oldest_and_says_so(
    microphone: VirtualMicrophone, socket_path: Path
) -> None:
    async with watched(microphone, inbox_s=0.5) as watch:
        await eventually(watch.is_open)
        client.command(socket_path, "SILENCE 1500")  # on the loop, which it blocks: that is the fault
        await eventually(lambda: watch.gaps)
        await tell(socket_path, "SILENCE 500")
        (gap,) = watch.gaps
        assert gap.reason is GapReason.OVERRUN
        assert gap.samples / SAMPLE_RATE == pytest.approx(1.0, abs=0.3)
        assert watch.is_open()


async def test_closing_is_told_and_nothing_is_heard_after_it(microphone: VirtualMicrophone, socket_path: Path) -> None:
    async with watched(microphone) as watch:
        await eventually(watch.is_open)
        await watch.keeper.close()
        count = len(watch.items)
        assert watch.keeper.state.condition is CaptureCondition.CLOSED
        assert (await tell(socket_path, "STATUS")).startswith("open=no")
        await tell(socket_path, "SILENCE 200")
        assert len(watch.items) == count
        assert watch.keeper.promise_kept(time.monotonic() + 3600)
