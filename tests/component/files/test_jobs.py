"""Files passed as descriptors are transcribed during dictation; any other descriptor is rejected without cost."""

import asyncio
import fcntl
import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coldvoxd.core.channels import Channel
from coldvoxd.core.errors import (
    ColdvoxError,
    FileFault,
    InvalidOption,
    ModelMissing,
    NotReady,
)
from coldvoxd.core.file_values import FileOptions, FileTranscript
from coldvoxd.core.golden_verdict import words
from coldvoxd.core.metrics import Count
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EndReason, EngineStatus, Utterance
from coldvoxd.files.jobs import FileJobs, open_audio
from coldvoxd.files.transcription import MOST_WARNINGS
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.vad.silero import SileroDetector
from tests.support.eventually import eventually
from tests.support.file_desk import ME, Passing, desk, long_file, open_descriptors, resident, zoo
from tests.support.sound.odd_audio import encoded
from tests.support.sound.speech import samples


async def test_a_file_becomes_text_with_words_where_asked_for() -> None:
    async with desk() as here:
        job = await here.hand_over(samples()[0].path, words=True)
        assert job == 50
        outcome = await here.outcome(job)
        assert isinstance(outcome, FileTranscript)
        assert outcome.text == samples()[0].heard["fp32"]
        assert " ".join(word.text for word in outcome.words) == outcome.text
        assert outcome.duration_s == pytest.approx(len(samples()[0].wave()) / 16_000)
        assert here.told.outcomes[job][1] == ME
        second = await here.outcome(await here.hand_over(samples()[1].path))
        assert isinstance(second, FileTranscript)
        assert second.words == ()
        assert list(here.told.outcomes) == [50, 51]
        counts = here.metrics.figures().counts
        assert (counts[Count.FILES], counts[Count.FILE_SEGMENTS], counts[Count.FILES_FAILED]) == (2, 2, 0)


async def test_progress_never_falls_and_ends_at_one(tmp_path: Path) -> None:
    async with desk() as here:
        await here.outcome(await here.hand_over(long_file(tmp_path)))
        shares = [share for _, share, _ in here.told.progress]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
        assert 5 < len(shares) <= 101


async def test_a_descriptor_is_read_from_the_files_beginning_and_its_position_left_alone(tmp_path: Path) -> None:
    async with desk() as here:
        memory = os.memfd_create("speech", os.MFD_ALLOW_SEALING)
        os.write(memory, samples()[0].path.read_bytes())
        fcntl.fcntl(
            memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        )
        position = os.lseek(memory, 0, os.SEEK_CUR)
        outcome = await here.outcome(await here.jobs.transcribe(ME, os.dup(memory), FileOptions()))
        assert isinstance(outcome, FileTranscript)
        assert outcome.text == samples()[0].heard["fp32"]
        assert os.lseek(memory, 0, os.SEEK_CUR) == position
        os.close(memory)
        gone = tmp_path / "gone.flac"
        gone.write_bytes(samples()[1].path.read_bytes())
        descriptor = os.open(gone, os.O_RDONLY)
        gone.unlink()
        outcome = await here.outcome(await here.jobs.transcribe(ME, descriptor, FileOptions()))
        assert isinstance(outcome, FileTranscript)
        assert outcome.text == samples()[1].heard["fp32"]


async def test_what_is_no_recording_is_refused_by_name_and_closed(tmp_path: Path) -> None:
    async with desk() as here:
        animals = zoo(tmp_path)
        for name, (descriptor, said) in animals.items():
            with pytest.raises(InvalidOption, match=said) as refused:
                await here.jobs.transcribe(ME, descriptor, FileOptions())
            assert str(refused.value).endswith("."), name
            assert str(refused.value)[0].isupper(), name
        assert here.told.outcomes == {}
        assert here.metrics.figures().counts[Count.FILES] == 0


async def test_a_channel_is_chosen_and_one_that_the_file_lacks_is_refused_at_once(tmp_path: Path) -> None:
    waves = [samples()[number].wave()[:40_000] for number in (0, 2)]
    soundfile.write(
        tmp_path / "two.wav", np.stack([np.pad(wave, (0, 40_000 - len(wave))) for wave in waves], 1), 16_000
    )
    async with desk() as here:

        async def heard(channel: str) -> FileTranscript | ColdvoxError:
            descriptor = os.open(tmp_path / "two.wav", os.O_RDONLY)
            options = FileOptions(channel=Channel(channel))
            return await here.outcome(await here.jobs.transcribe(ME, descriptor, options))

        left, right = await heard("left"), await heard("2")
        assert isinstance(left, FileTranscript)
        assert isinstance(right, FileTranscript)
        assert left.text == samples()[0].heard["fp32"]
        assert right.text.startswith("Hello Anna")
        with pytest.raises(
            InvalidOption, match=r"The file has 2 channels, and channel is 3: set it to auto, mix or a n"
        ):
            await heard("3")


async def test_opposite_phases_are_heard(tmp_path: Path) -> None:
    wave = samples()[2].wave()
    soundfile.write(tmp_path / "phases.wav", np.stack([wave, -wave], axis=1), 16_000)
    async with desk() as here:
        outcome = await here.outcome(await here.hand_over(tmp_path / "phases.wav"))
        assert isinstance(outcome, FileTranscript)
        assert outcome.text == samples()[2].heard["fp32"]


def test_refusing_holds_no_memory(tmp_path: Path) -> None:
    animals = zoo(tmp_path)
    before = resident()
    for _ in range(3):
        for descriptor, _said in animals.values():
            with pytest.raises(InvalidOption):
                open_audio(descriptor)
    assert resident() - before < 50_000_000
    for descriptor, _said in animals.values():
        os.close(descriptor)


@pytest.mark.parametrize("fault", ["not finite", "no sample"])
async def test_a_file_that_turns_out_unusable_is_reported_as_failed(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "talk.wav"
    wave = np.tile(samples()[0].wave(), 10)
    if fault == "not finite":
        wave[-1] = np.nan
        soundfile.write(path, wave, 16_000, subtype="FLOAT")
    else:
        soundfile.write(path, wave[:0], 16_000)
    async with desk() as here:
        outcome = await here.outcome(await here.hand_over(path))
        assert isinstance(outcome, FileFault)
        assert here.metrics.figures().counts[Count.FILES_FAILED] == 1


async def test_of_a_damaged_file_the_rest_becomes_text_with_a_warning(tmp_path: Path) -> None:
    sample = samples()[0].wave()
    pause = np.zeros(16_000, np.float32)
    content = bytearray(encoded(np.concatenate((sample, pause, sample, pause, sample)), "FLAC"))
    content[len(content) // 3 + 500 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3 - 500)
    (tmp_path / "talk.flac").write_bytes(content)
    async with desk() as here:
        outcome = await here.outcome(await here.hand_over(tmp_path / "talk.flac", words=True))
        assert isinstance(outcome, FileTranscript)
        assert outcome.text.startswith(samples()[0].heard["fp32"])
        said = words(samples()[0].said)
        assert words(outcome.text)[-len(said) :] == said
        (warning,) = outcome.warnings
        assert warning.startswith("The file is damaged from 0:")
        spoken_s = len(sample) / 16_000
        last = outcome.words[-len(samples()[0].heard["fp32"].split())]
        assert 2 * spoken_s + 2 <= last.start_s <= 3 * spoken_s + 2
        assert here.metrics.figures().counts[Count.FILES_FAILED] == 0


async def test_a_file_damaged_at_very_many_places_has_few_warnings(tmp_path: Path) -> None:
    chain = b"".join(encoded(samples()[0].wave()[:16_000], "OGG")[:-40] for _ in range(30))
    (tmp_path / "talk.ogg").write_bytes(chain)
    async with desk() as here:
        outcome = await here.outcome(await here.hand_over(tmp_path / "talk.ogg"))
        assert isinstance(outcome, FileTranscript)
        assert len(outcome.warnings) == MOST_WARNINGS + 1
        assert outcome.warnings[-1].endswith("more warnings are omitted.")


@pytest.mark.heavy
async def test_dictation_goes_first_during_a_long_file(tmp_path: Path) -> None:
    """Pins the order of runs: while utterances wait, no further piece of the file starts."""
    order: list[str] = []
    begun, gate = threading.Event(), threading.Event()

    def note(utterance: Utterance) -> None:
        order.append("live" if utterance.session_id else "piece")
        begun.set()
        gate.wait(30)

    async with desk(note) as here:
        job = await here.hand_over(long_file(tmp_path))
        await eventually(begun.is_set, what="the first piece")
        live = [
            asyncio.create_task(
                here.switch.recognize(Utterance(number, 7, 0, samples()[number].wave(), EndReason.ENDPOINT))
            )
            for number in range(5)
        ]
        await asyncio.sleep(0)
        gate.set()
        texts = [hypothesis.text for hypothesis in await asyncio.gather(*live)]
        assert texts == [samples()[number].heard["fp32"] for number in range(5)]
        outcome = await here.outcome(job)
        assert isinstance(outcome, FileTranscript)
        assert len(outcome.text.split()) > 60
    assert order[:6] == ["piece", *["live"] * 5]
    assert order.count("piece") >= 4


@pytest.mark.heavy
async def test_dictation_stops_a_group_and_the_file_loses_no_word(tmp_path: Path) -> None:
    begun, gate = threading.Event(), threading.Event()
    groups: list[int] = []

    def note(pieces: tuple[Utterance, ...]) -> None:
        groups.append(len(pieces))
        begun.set()
        gate.wait(30)

    path = long_file(tmp_path)
    async with desk() as here:
        alone = await here.outcome(await here.hand_over(path, words=True))
    async with desk(batch_size=2, before_group=note) as here:
        job = await here.hand_over(path, words=True)
        await eventually(begun.is_set, what="the first group")
        live = asyncio.create_task(here.switch.recognize(Utterance(1, 7, 0, samples()[1].wave(), EndReason.ENDPOINT)))
        await eventually(lambda: here.switch._minor is None, what="the end of waiting for the group")
        assert not live.done(), "the group still occupies the call thread"
        gate.set()
        assert (await live).text == samples()[1].heard["fp32"]
        assert await here.outcome(job) == alone
        assert here.switch.batch_limit == 16, "an interruption is no failure"
    assert groups
    assert set(groups) == {2}


async def test_without_a_model_no_job_begins(tmp_path: Path) -> None:
    def missing() -> Passing:
        raise ModelMissing("no model; type this")

    switch = Dispatcher(lambda _, told: Supervisor(Backends(missing), EngineStatus(), told), ModelSettings())
    loading = asyncio.create_task(switch.load())
    await eventually(lambda: switch.status.degraded)
    before = open_descriptors()
    with pytest.raises(NotReady, match="type this"):
        await FileJobs(switch, SileroDetector).transcribe(ME, os.open(tmp_path, os.O_RDONLY), FileOptions())
    assert open_descriptors() == before
    loading.cancel()
    switch.close()


async def test_storage_that_hangs_is_told_and_its_thread_left_behind() -> None:
    gate = threading.Event()

    class Hanging(SileroDetector):
        def score(self, samples: object) -> float:
            del samples
            gate.wait(30)
            return 0.0

    async with desk(step_limit_s=0.05) as here:
        here.jobs._open_detector = Hanging
        outcome = await here.outcome(await here.hand_over(samples()[0].path))
        assert isinstance(outcome, FileFault)
        assert "storage" in str(outcome)
        gate.set()
