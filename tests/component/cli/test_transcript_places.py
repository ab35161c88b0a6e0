"""Where transcripts are written: never over a recording, to names that a file can have, and once."""

import asyncio
import json
import os
from pathlib import Path

import pytest
import soundfile
import srt

from coldvoxd.audio.suffixes import SUFFIXES as RECORDINGS
from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.folders import listed
from coldvoxd.cli.transcript_files import SUFFIXES, format_of, targets
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.file_service import transcribing
from tests.support.bus.private_bus import PrivateBus
from tests.support.sound.speech import samples

LOCAL = ("--local", "--model", "mini", "--precision", "fp32")
SAMPLE = samples()[0]
CONTENT = SAMPLE.path.read_bytes()
TEXT = f"{SAMPLE.heard['fp32']}\n"


async def transcribe(ctl: Ctl, *arguments: str, stdin: int = asyncio.subprocess.DEVNULL) -> Result:
    return await (await ctl("transcribe", *arguments, stdin=stdin)).ended(within_s=150)


def recording(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("where", ["through the daemon", "local"])
@pytest.mark.parametrize("kind", ["the same name", "a symbolic link", "a hard link", "standard input", "another one"])
async def test_no_transcript_replaces_a_recording(
    bus: PrivateBus, ctl: Ctl, tmp_path: Path, where: str, kind: str
) -> None:
    source, target = recording(tmp_path / "talk.txt"), tmp_path / "link.txt"
    options, names, stdin = [*(LOCAL if where == "local" else ()), "--force"], [str(source)], asyncio.subprocess.DEVNULL
    match kind:
        case "the same name":
            target = source
        case "a symbolic link":
            target.symlink_to(source)
        case "a hard link":
            target.hardlink_to(source)
        case "standard input":
            names, stdin, target = ["-"], os.open(source, os.O_RDONLY), source
        case "another one":
            names = [str(recording(tmp_path / "a.flac")), str(source)]
            target = tmp_path / "texts"
            target.mkdir()
            (target / "a.txt").hardlink_to(source)
    async with transcribing(bus):
        refused = await transcribe(ctl, *options, *names, "--output", str(target), stdin=stdin)
    assert refused.exit == Exit.FAILED
    assert "is a file that is read: choose another name for the output." in refused.err
    assert source.read_bytes() == CONTENT
    assert not list(tmp_path.rglob(".coldvoxctl-*"))


@pytest.mark.parametrize("command", ["transcribe", "evaluate", "evaluate --tune"])
async def test_a_text_has_no_suffix_of_a_recording(ctl: Ctl, tmp_path: Path, command: str) -> None:
    target = recording(tmp_path / "other.FLAC")
    source = recording(tmp_path / "talks" / "talk.wav")
    (source.parent / "talk.txt").write_text(TEXT)
    place = str(source if command == "transcribe" else source.parent)
    options = LOCAL if command == "transcribe" else ("--model", "mini", "--format", "json")
    refused = await (await ctl(*command.split(), place, *options, "-o", str(target), "--force")).ended()
    assert refused.exit == Exit.USAGE
    assert ("suffix of a recording" if "--tune" not in command else "suffix must be") in refused.err + refused.out
    assert target.read_bytes() == CONTENT


async def test_evaluate_does_not_replace_its_manifest(ctl: Ctl, tmp_path: Path) -> None:
    recording(tmp_path / "talk.wav")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,text\ntalk.wav,hello\n")
    (tmp_path / "report.json").hardlink_to(manifest)
    command = ("evaluate", str(manifest), "--model", "mini", "-o", str(tmp_path / "report.json"), "--force")
    refused = await (await ctl(*command)).ended()
    assert refused.exit == Exit.FAILED
    assert "is a file that is read" in refused.err
    assert manifest.read_text().startswith("path,text")


async def test_a_bug_report_replaces_reports_only(ctl: Ctl, tmp_path: Path) -> None:
    report, other = tmp_path / "report.md", recording(tmp_path / "talk.flac")
    for _ in range(2):
        await (await ctl("doctor", "--report", str(report))).ended(within_s=120)
    assert report.read_text().startswith("# coldvoxd: report")
    refused = await (await ctl("doctor", "--report", str(other))).ended()
    assert refused.exit == Exit.USAGE
    assert refused.err == f"coldvoxctl: {other} exists, and is no report: choose another name\n"
    assert other.read_bytes() == CONTENT


@pytest.mark.parametrize("suffix", sorted({*RECORDINGS, ".docx", ".ass", ".sub", ".FLAC"}))
def test_an_unknown_suffix_is_an_error_that_names_the_known_ones(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UsageFault) as refused:
        format_of(None, str(tmp_path / f"talk{suffix}"), as_json=False)
    assert all(known in str(refused.value) for known in (suffix.lower(), *SUFFIXES.values()) if known) or (
        suffix.lower() in RECORDINGS
    )
    if suffix.lower() in RECORDINGS:
        for form in ("text", "json"):
            with pytest.raises(UsageFault, match="the suffix of a recording"):
                format_of(form, str(tmp_path / f"talk{suffix}"), as_json=False)
    else:
        assert format_of("text", str(tmp_path / f"talk{suffix}"), as_json=False) == "text"
    assert format_of(None, f"{tmp_path}/talks{suffix}/", as_json=False) == "text"
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    assert format_of(None, str(folder), as_json=False) == "text"


def test_a_file_without_a_suffix_is_text() -> None:
    assert format_of(None, "talk", as_json=False) == "text"
    assert format_of(None, "-", as_json=False) == "text"


async def test_an_interrupted_command_can_be_repeated(ctl: Ctl, tmp_path: Path) -> None:
    """The recordings and their texts may be in the same folder."""
    names = ("a.flac", "b.flac", "c.flac", "c.jpg")
    for name in names[:3]:
        recording(tmp_path / name)
    (tmp_path / names[3]).write_bytes(b"no audio")
    (tmp_path / "a.txt").write_text("finished\n")
    found = {}
    for attempt in range(2):
        done = await transcribe(ctl, *LOCAL, str(tmp_path), "--output", str(tmp_path))
        number = "1 recording was" if attempt == 0 else "3 recordings were"
        assert (done.exit, done.out) == (Exit.DONE, "")
        assert done.err.endswith(
            f"coldvoxctl: {number} not transcribed, because the text is in {tmp_path} already: add --force to replace it.\n"
        )
        found = {path.name: path.read_text() for path in tmp_path.glob("*.txt")}
        assert found == {"a.txt": "finished\n", "b.txt": TEXT, "c.flac.txt": TEXT}
    programs = await transcribe(ctl, *LOCAL, str(tmp_path), "--output", str(tmp_path), "--json")
    assert programs.exit == Exit.DONE
    assert len(programs.objects) == 3
    again = await transcribe(ctl, *LOCAL, str(tmp_path), "--output", str(tmp_path), "--json")
    assert (again.exit, again.out) == (Exit.DONE, "")
    kept = [one for one in map(json.loads, again.err.splitlines()) if one["skipped"] == "exists"]
    assert [(Path(one["file"]).name, Path(one["output"]).name) for one in kept] == [
        ("a.flac", "a.json"),
        ("b.flac", "b.json"),
        ("c.flac", "c.flac.json"),
    ]
    assert (await transcribe(ctl, *LOCAL, str(tmp_path), "--output", str(tmp_path), "--force")).exit == Exit.DONE
    assert (tmp_path / "a.txt").read_text() == TEXT
    assert all((tmp_path / name).read_bytes() == CONTENT for name in names[:3])


async def test_a_repeated_command_still_reports_what_failed(ctl: Ctl, tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.flac")
    (tmp_path / "in" / "b.flac").write_bytes(b"no audio")
    for _ in range(2):
        done = await transcribe(ctl, *LOCAL, str(tmp_path / "in"), "--output", f"{tmp_path}/out/")
        assert done.exit == Exit.FAILED
        assert "b.flac" in done.err


async def test_a_name_that_is_too_long_is_reported_and_the_others_are_transcribed(ctl: Ctl, tmp_path: Path) -> None:
    folder, long = tmp_path / "in", "я" * 125  # 250 bytes
    for name in (f"{long}.mp3", f"{long}.ogg", "talk.flac"):
        recording(folder / name)
    for force in ((), ("--force",)):
        done = await transcribe(ctl, *LOCAL, str(folder), "--output", f"{tmp_path}/out/", *force)
        assert done.exit == Exit.FAILED
        assert done.err.count("is too long for a file: name one with --output FILE.") == 2
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["talk.txt"]
    target = tmp_path / f"{'x' * 300}.txt"
    done = await transcribe(ctl, *LOCAL, str(folder / "talk.flac"), "--output", str(target))
    assert (done.exit, done.err.count("\n")) == (Exit.FAILED, 1)
    assert "is too long for a file" in done.err


async def test_a_folder_that_is_a_file_is_named(ctl: Ctl, tmp_path: Path) -> None:
    source = recording(tmp_path / "talk.flac")
    for output in (f"{source}/x.txt", f"{source}/more/x.txt", f"{source}/"):
        done = await transcribe(ctl, *LOCAL, str(source), "--output", output)
        assert (done.exit, done.out) == (Exit.FAILED, "")
        assert "is not a folder" in done.err
    assert targets(listed([str(source)], recursive=False), "new/", "srt") == [Path("new/talk.srt")]


async def test_no_subtitle_ends_after_its_recording(ctl: Ctl, tmp_path: Path) -> None:
    """Short recordings, whose only subtitle is shown for a second at least."""
    files = [str(sample.path) for sample in samples()]
    done = await transcribe(ctl, *LOCAL, *files, "--format", "srt", "--output", f"{tmp_path}/")
    assert done.exit == Exit.DONE
    for sample in samples():
        *_, last = srt.parse((tmp_path / f"{sample.path.stem}.srt").read_text())
        assert last.end.total_seconds() <= soundfile.info(sample.path).duration
