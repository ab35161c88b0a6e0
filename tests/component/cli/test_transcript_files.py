"""coldvoxctl transcribe takes folders, makes subtitles, and writes files whole or not at all."""

import asyncio
import json
import stat
from pathlib import Path

import pytest
import srt
import webvtt

from coldvoxd.cli import transcript_files
from coldvoxd.cli.exit_codes import Exit, OutputFault, UsageFault
from coldvoxd.cli.folders import Listed, listed
from coldvoxd.cli.output import Output
from coldvoxd.cli.results import Form, Results
from coldvoxd.cli.transcript_files import OutputExists, format_of, targets, write
from coldvoxd.core.file_values import FileTranscript
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.file_service import transcribing
from tests.support.bus.private_bus import PrivateBus
from tests.support.sound.media import KINDS, encoded
from tests.support.sound.speech import samples

LOCAL = ("--local", "--model", "mini", "--precision", "fp32")
SAMPLES = samples()[:2]
TEXTS = [sample.heard["fp32"] for sample in SAMPLES]


async def transcribe(ctl: Ctl, *arguments: str) -> Result:
    return await (await ctl("transcribe", *arguments)).ended(within_s=150)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two recordings, one of them without a suffix, and other files."""
    folder = tmp_path / "recordings"
    (folder / "more").mkdir(parents=True)
    (folder / "b.mp4").write_bytes(encoded(KINDS["MP4"], SAMPLES[1].wave()))
    (folder / "a recording").write_bytes(SAMPLES[0].path.read_bytes())
    (folder / "more" / "c.flac").write_bytes(SAMPLES[0].path.read_bytes())
    (folder / "notes.txt").write_text("Dear Sir or Madam")
    (folder / "silent.mp4").write_bytes(encoded(KINDS["MP4"], [], video_s=1))
    (folder / ".hidden.flac").write_bytes(SAMPLES[0].path.read_bytes())
    return folder


@pytest.mark.parametrize("where", ["through the daemon", "local"])
async def test_the_recordings_of_a_folder_are_transcribed_and_the_rest_is_skipped(
    bus: PrivateBus, ctl: Ctl, folder: Path, where: str
) -> None:
    options = LOCAL if where == "local" else ()
    async with transcribing(bus):
        found = await transcribe(ctl, *options, str(folder))
        assert found.exit == Exit.DONE
        assert found.out == f"{folder}/a recording: {TEXTS[0]}\n{folder}/b.mp4: {TEXTS[1]}\n"
        assert found.err == "".join(
            f"coldvoxctl: {folder}/{name}: skipped, it is not a recording\n" for name in ("notes.txt", "silent.mp4")
        )
        all_of_it = await transcribe(ctl, *options, "--json", "--recursive", str(folder))
        assert [one["file"] for one in all_of_it.objects] == [
            f"{folder}/{name}" for name in ("a recording", "b.mp4", "more/c.flac")
        ]
        assert [json.loads(line) for line in all_of_it.err.splitlines()] == [
            {"file": f"{folder}/{name}", "skipped": "not a recording"} for name in ("notes.txt", "silent.mp4")
        ]


async def test_a_damaged_recording_in_a_folder_is_an_error(ctl: Ctl, tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_text("Dear Sir or Madam")
    result = await transcribe(ctl, *LOCAL, str(tmp_path))
    assert (result.exit, result.out) == (Exit.FAILED, "")
    assert result.err.startswith(f"coldvoxctl: {tmp_path}/talk.wav is not audio in a readable format")


def test_a_folder_is_listed_by_name(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "more")
    (folder / "link.flac").symlink_to(folder / "more" / "c.flac")
    names = ["a recording", "b.mp4", "link.flac", "notes.txt", "silent.mp4"]
    assert [str(one.inside) for one in listed([str(folder)], recursive=False)] == names
    assert [str(one.inside) for one in listed([str(folder)], recursive=True)] == [*names, "more/c.flac"]
    assert listed(["./-talk.wav", "-"], recursive=True) == [Listed("./-talk.wav"), Listed("-")]


def test_a_folder_without_files_is_reported(tmp_path: Path) -> None:
    (nothing,) = listed([str(tmp_path)], recursive=False)
    assert "has no files: give the name" in str(nothing.fault)
    (tmp_path / "more").mkdir()
    (nothing,) = listed([str(tmp_path)], recursive=False)
    assert "add --recursive" in str(nothing.fault)


async def test_subtitles_of_a_file_are_written(bus: PrivateBus, ctl: Ctl, folder: Path, tmp_path: Path) -> None:
    video = str(folder / "b.mp4")
    async with transcribing(bus):
        printed = await transcribe(ctl, "--format", "srt", video)
        assert (printed.exit, printed.err) == (Exit.DONE, "")
        target = tmp_path / "talk.vtt"
        assert await transcribe(ctl, video, "--output", str(target)) == Result(Exit.DONE, "", "")
    parsed = list(srt.parse(printed.out))
    assert " ".join(" ".join(one.content.split()) for one in parsed) == TEXTS[1]
    captions = webvtt.read(str(target)).captions
    assert [one.text for one in captions] == [one.content for one in parsed]
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~transcript_files._umask()


async def test_each_recording_has_a_file_in_a_folder(ctl: Ctl, folder: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    done = await transcribe(ctl, *LOCAL, "--recursive", str(folder), "--output", f"{texts}/")
    assert (done.exit, done.out) == (Exit.DONE, "")
    contents = {str(path.relative_to(texts)): path.read_text() for path in texts.rglob("*.txt")}
    assert contents == {
        "a recording.txt": f"{TEXTS[0]}\n",
        "b.txt": f"{TEXTS[1]}\n",
        "more/c.txt": f"{TEXTS[0]}\n",
    }
    again = await transcribe(ctl, *LOCAL, "--json", str(folder / "b.mp4"), str(SAMPLES[0].path), "--output", str(texts))
    assert again.exit == Exit.DONE
    assert [one["output"] for one in again.objects] == [str(texts / "b.json"), f"{texts}/{SAMPLES[0].path.stem}.json"]
    assert json.loads((texts / "b.json").read_text())["text"] == TEXTS[1]


async def test_a_file_that_exists_is_kept_unless_forced(ctl: Ctl, tmp_path: Path) -> None:
    target = tmp_path / "talk.txt"
    target.write_text("mine")
    refused = await transcribe(ctl, *LOCAL, str(SAMPLES[0].path), "--output", str(target))
    assert (refused.exit, refused.out, target.read_text()) == (Exit.FAILED, "", "mine")
    assert f"{target} exists: choose another name, or add --force to replace it." in refused.err
    assert (await transcribe(ctl, *LOCAL, str(SAMPLES[0].path), "-o", str(target), "--force")).exit == Exit.DONE
    assert target.read_text() == f"{TEXTS[0]}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["talk.txt"]


async def test_options_that_contradict_each_other_are_usage_errors(ctl: Ctl, folder: Path, tmp_path: Path) -> None:
    commands = {
        ("--json", "--format", "srt", "x.wav"): "--json and --format srt exclude each other",
        ("--format", "srt", "a.wav", "b.wav"): "name a folder for them",
        ("--format", "vtt", str(folder)): "name a folder for them",
        (str(folder), "--output", str(tmp_path / "talk.txt")): "names one file, and there are several recordings",
    }
    results = await asyncio.gather(*(transcribe(ctl, *arguments) for arguments in commands))
    for result, message in zip(results, commands.values(), strict=True):
        assert result.exit == Exit.USAGE
        assert message in result.out + result.err


def test_the_format_follows_from_the_name_of_the_output() -> None:
    assert format_of(None, None, as_json=False) == "text"
    assert format_of(None, "talk.SRT", as_json=False) == "srt"
    assert format_of("text", "talk.srt", as_json=False) == "text"
    assert format_of(None, "talk.srt", as_json=True) == "json"


def test_names_of_transcripts_do_not_collide(tmp_path: Path) -> None:
    names = ["x/talk.mp4", "y/talk.mp3", "z/other.v2.wav", "-"]
    assert targets([Listed(name) for name in names], str(tmp_path), "srt") == [
        tmp_path / name for name in ("talk.mp4.srt", "talk.mp3.srt", "other.v2.srt", "standard-input.srt")
    ]
    with pytest.raises(UsageFault, match="Several recordings would be written to"):
        targets([Listed("x/talk.mp4"), Listed("y/talk.mp4")], str(tmp_path), "srt")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "talk.txt"
    write(target, "one\n", force=False)
    with pytest.raises(OutputExists):
        write(target, "two\n", force=False)
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    with pytest.raises(OutputExists):
        write(link, "two\n", force=False)
    write(link, "three\n", force=True)
    assert link.is_symlink()
    assert target.read_text() == "three\n"
    with pytest.raises(OutputFault, match="is a folder"):
        write(tmp_path, "x", force=True)
    with pytest.raises(OutputFault, match="is not a regular file"):
        write(Path("/dev/null"), "x", force=True)
    (tmp_path / "file").touch()
    with pytest.raises(OutputFault, match="cannot be written"):
        write(tmp_path / "file" / "talk.txt", "x", force=False)
    assert [path.name for path in target.parent.iterdir()] == ["talk.txt"]


@pytest.mark.parametrize("obstacle", ["the folder is a file now", "a file has appeared"])
def test_a_transcript_whose_file_cannot_be_written_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], obstacle: str
) -> None:
    """Both can happen while a long recording is transcribed."""
    target = tmp_path / "texts" / "talk.txt"
    results = Results(Output(as_json=False), Form("text", is_single=True, force=False))
    transcript = FileTranscript("It took three hours.", (), 10_800.0, 0.9, ())
    recording = listed([str(SAMPLES[0].path)], recursive=False)[0]
    if obstacle == "a file has appeared":
        target.parent.mkdir()
        target.write_text("mine")
        results.done(recording, target, transcript, None)
        assert (results.verdict, target.read_text()) == (Exit.FAILED, "mine")
    else:
        target.parent.write_text("mine")
        with pytest.raises(OutputFault, match=r"talk\.txt cannot be written"):
            results.done(recording, target, transcript, None)
    assert capsys.readouterr().out == "It took three hours.\n"
