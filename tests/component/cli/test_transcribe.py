"""coldvoxctl transcribe with the bundled model and its sample recordings."""

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.models.directories import bundled_directory
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.file_service import transcribing
from tests.support.bus.private_bus import PrivateBus, RunningService
from tests.support.eventually import eventually

MINI = ("--local", "--model", "mini", "--precision", "int8")
SAMPLES = json.loads((bundled_directory() / "manifest.json").read_text())["samples"][:3]
FILES = [str(bundled_directory() / sample["file"]) for sample in SAMPLES]


async def run(ctl: Ctl, *arguments: str | bytes) -> Result:
    return await (await ctl("transcribe", *arguments)).ended()


def plain(text: str) -> list[str]:
    """Return the words without case and punctuation."""
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter in " '").split()


async def test_json_is_one_object_a_file_in_the_order_given(ctl: Ctl) -> None:
    result = await run(ctl, *MINI, "--json", *FILES)
    assert (result.exit, result.err) == (Exit.DONE, "")
    assert [found["file"] for found in result.objects] == FILES
    for found, sample, file in zip(result.objects, SAMPLES, FILES, strict=True):
        assert list(found) == ["file", "text", "words", "duration", "confidence", "warnings"]
        assert found["warnings"] == []
        assert plain(found["text"]) == plain(sample["heard"]["int8"])
        assert " ".join(word["word"] for word in found["words"]) == found["text"]
        duration_s = soundfile.info(file).duration
        assert found["duration"] == pytest.approx(duration_s, abs=0.001)
        assert 0 < found["confidence"] <= 1
        begin_s = 0.0
        for word in found["words"]:
            assert list(word) == ["word", "start", "end", "confidence"]
            assert begin_s <= word["start"] <= word["end"] <= duration_s + 0.001
            assert 0 < word["confidence"] <= 1
            begin_s = word["start"]


async def test_text_alone_for_one_file_and_with_its_name_for_several(ctl: Ctl) -> None:
    texts = [found["text"] for found in (await run(ctl, *MINI, "--json", *FILES[:2])).objects]
    assert await run(ctl, *MINI, FILES[0]) == Result(Exit.DONE, f"{texts[0]}\n", "")
    both = await run(ctl, *MINI, *FILES[:2])
    assert both.out == f"{FILES[0]}: {texts[0]}\n{FILES[1]}: {texts[1]}\n"


async def test_a_file_that_cannot_be_read_is_told_in_its_place_and_the_others_go_on(ctl: Ctl, tmp_path: Path) -> None:
    missing, no_sound = str(tmp_path / "missing.wav"), tmp_path / "letter.wav"
    no_sound.write_text("Dear Sir or Madam")
    empty = tmp_path / "empty"
    empty.mkdir()
    files = [missing, FILES[0], str(no_sound), str(empty), FILES[1]]
    result = await run(ctl, *MINI, "--json", *files)
    assert (result.exit, result.err) == (Exit.FAILED, "")
    assert [found["file"] for found in result.objects] == files
    assert ["error" in found for found in result.objects] == [True, False, True, True, False]
    for found in result.objects:
        if "error" in found:
            assert list(found) == ["file", "error", "message"]
            assert found["error"] == ("InvalidOption" if found["file"] == str(no_sound) else "FileFault")
            assert found["file"] in found["message"]
    for_people = await run(ctl, *MINI, *files[:2])
    assert for_people.exit == Exit.FAILED
    assert for_people.err.startswith("coldvoxctl: ")
    assert missing in for_people.err
    assert for_people.out.startswith(f"{FILES[0]}: ")


@pytest.mark.parametrize("precision", ["fp32", "int8"])
async def test_other_formats_rates_and_channels(ctl: Ctl, tmp_path: Path, precision: str) -> None:
    samples, rate = soundfile.read(FILES[0], dtype="float32", always_2d=True)
    stereo = samples.repeat(2, axis=1)
    files = [tmp_path / "stereo.wav", tmp_path / "stereo.ogg"]
    for file in files:
        soundfile.write(file, stereo, rate)
    result = await run(ctl, "--local", "--model", "mini", "--precision", precision, "--json", *map(str, files))
    assert result.exit == Exit.DONE
    for found in result.objects:
        assert plain(found["text"]) == plain(SAMPLES[0]["heard"][precision])


async def test_a_model_that_is_not_there(ctl: Ctl, tmp_path: Path) -> None:
    for model in ("no-such-model", str(tmp_path), str(tmp_path / "nowhere")):
        result = await run(ctl, "--local", "--json", "--model", model, FILES[0])
        assert (result.exit, result.out) == (Exit.NOT_READY, "")
        assert result.error["error"] == "NotReady"
        assert Path(model).name in result.error["message"]


async def test_progress_is_shown_to_a_terminal_and_wiped(ctl: Ctl) -> None:
    ours, its = os.openpty()
    try:
        command = await ctl("transcribe", *MINI, FILES[0], stderr=its)
        result = await command.ended()
        shown = os.read(ours, 1 << 16).decode()
    finally:
        os.close(ours)
        os.close(its)
    assert result.exit == Exit.DONE
    assert f"{Path(FILES[0]).name} 100 %" in shown
    assert shown.endswith("\r\033[K")


@pytest.mark.parametrize("where", ["through the daemon", "local"])
async def test_a_channel_is_chosen(bus: PrivateBus, ctl: Ctl, tmp_path: Path, where: str) -> None:
    voice, rate = soundfile.read(FILES[0], dtype="float32")
    file = tmp_path / "talk.wav"
    soundfile.write(file, np.stack([np.zeros_like(voice), np.zeros_like(voice), voice], axis=1), rate)
    local = ("--local", "--model", "mini", "--precision", "fp32") if where == "local" else ()
    async with transcribing(bus):
        for channel in ((), ("--channel", "auto"), ("--channel", "3"), ("--channel", "mix")):
            result = await run(ctl, *local, *channel, str(file))
            assert (result.exit, plain(result.out)) == (Exit.DONE, plain(SAMPLES[0]["heard"]["fp32"]))
        assert (await run(ctl, *local, "--channel", "left", str(file))).out == "\n"
        refused = await run(ctl, *local, "--channel", "4", str(file))
        assert (refused.exit, refused.out) == (Exit.FAILED, "")
        assert "has 3 channels, and channel is 4: set it to auto, mix or a number from 1 to 3" in refused.err
        assert str(file) in refused.err
        wrong = await run(ctl, *local, "--channel", "middle", str(file))
        assert (wrong.exit, wrong.out) == (Exit.USAGE, "")
        assert "must be auto, mix, left, right or a channel's number from 1" in wrong.err


@pytest.mark.parametrize("where", ["through the daemon", "local"])
async def test_a_voice_that_averaging_loses_is_heard(bus: PrivateBus, ctl: Ctl, tmp_path: Path, where: str) -> None:
    voice, rate = soundfile.read(FILES[0], dtype="float32")
    room = np.random.default_rng(5).normal(0, 10 ** (-30 / 20), (len(voice), 8)).astype(np.float32)
    room[:, 6] += voice * np.float32(0.2)
    recordings = {"opposite.wav": np.stack([voice, -voice], axis=1), "eight.wav": room}
    for name, channels in recordings.items():
        soundfile.write(tmp_path / name, channels, rate)
    files = [str(tmp_path / name) for name in recordings]
    local = ("--local", "--model", "mini", "--precision", "fp32") if where == "local" else ()
    async with transcribing(bus):
        for channel in ((), ("--channel", "auto")):
            heard = await run(ctl, *local, *channel, "--json", *files)
            assert [plain(found["text"]) for found in heard.objects] == [plain(SAMPLES[0]["heard"]["fp32"])] * 2
        mixed = await run(ctl, *local, "--channel", "mix", "--json", *files)
        assert plain(SAMPLES[0]["heard"]["fp32"]) not in [plain(found["text"]) for found in mixed.objects]
        chosen = await run(ctl, *local, "--channel", "7", files[1])
        assert (chosen.exit, plain(chosen.out)) == (Exit.DONE, plain(SAMPLES[0]["heard"]["fp32"]))


@pytest.fixture
async def daemon(bus: PrivateBus) -> AsyncIterator[RunningService]:
    async with transcribing(bus) as running:
        yield running


async def test_the_daemon_hears_what_is_heard_without_it(daemon: RunningService, ctl: Ctl) -> None:
    del daemon
    through = await run(ctl, "--json", *FILES)
    assert (through.exit, through.err) == (Exit.DONE, "")
    alone = await run(ctl, "--local", "--model", "mini", "--precision", "fp32", "--json", *FILES)
    assert through.objects == alone.objects


async def test_files_that_are_none_are_reported_and_the_others_go_on(
    daemon: RunningService, ctl: Ctl, tmp_path: Path
) -> None:
    del daemon
    os.mkfifo(tmp_path / "fifo.wav")
    (tmp_path / "letter.wav").write_text("Dear Sir or Madam")
    names = ["missing.wav", "fifo.wav", "letter.wav"]
    (tmp_path / "empty").mkdir()
    files = [*(str(tmp_path / name) for name in names), "/dev/zero", str(tmp_path / "empty"), FILES[0]]
    result = await run(ctl, "--json", *files)
    assert (result.exit, result.err) == (Exit.FAILED, "")
    assert [found["file"] for found in result.objects] == files
    errors = ["FileFault", "FileFault", "InvalidOption", "FileFault", "FileFault", None]
    assert [found.get("error") for found in result.objects] == errors
    for_people = await run(ctl, *files)
    for file, line in zip(files, for_people.err.splitlines(), strict=False):
        assert file in line
    assert for_people.out.startswith(f"{FILES[0]}: ")


async def test_an_interrupt_ends_the_job(daemon: RunningService, ctl: Ctl, tmp_path: Path) -> None:
    long = tmp_path / "long.flac"
    noise = np.random.default_rng(1).normal(0, 0.01, 3600 * 16_000).astype(np.float32)
    soundfile.write(long, noise, 16_000)
    command = await ctl("transcribe", str(long))
    await eventually(lambda: daemon.service._file_calls._owners, what="the job")
    command.process.send_signal(signal.SIGINT)
    assert (await command.ended()).exit == Exit.INTERRUPTED
    await eventually(lambda: not daemon.service._file_calls._owners, what="the end of the job")


async def test_a_daemon_that_ends_is_told(daemon: RunningService, ctl: Ctl, tmp_path: Path) -> None:
    long = tmp_path / "long.flac"
    soundfile.write(long, np.zeros(3600 * 16_000, np.int16), 16_000)
    command = await ctl("transcribe", "--json", str(long))
    await eventually(lambda: daemon.service._file_calls._owners, what="the job")
    await daemon.connection.aclose()
    result = await command.ended()
    assert (result.exit, result.error["error"]) == (Exit.UNREACHABLE, "DaemonUnreachable")


async def test_a_models_name_is_for_local(ctl: Ctl) -> None:
    result = await run(ctl, "--model", "mini", FILES[0])
    assert (result.exit, result.out) == (Exit.USAGE, "")
    assert "--local" in result.err
