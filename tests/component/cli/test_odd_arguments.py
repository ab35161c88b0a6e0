"""Arguments that no user means: each is refused in one line that says why, and changes nothing."""

from pathlib import Path

import pytest

from coldvoxd.cli.exit_codes import Exit
from tests.component.cli import conftest
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.file_service import transcribing
from tests.support.bus.private_bus import PrivateBus, RunningService
from tests.support.sound.speech import samples

LOCAL = ("--local", "--model", "mini", "--precision", "fp32")
RECORDING = str(samples()[0].path)
LONG = "x" * 300
NO_TEXT = b"d\xff"


async def run(ctl: Ctl, *arguments: str | bytes) -> Result:
    result = await (await ctl(*arguments)).ended(within_s=150)
    assert "Traceback" not in result.err, arguments
    assert result.err.count("\n") <= 1, (arguments, result.err)
    return result


@pytest.mark.parametrize(
    "command",
    [
        ("start", "--language", NO_TEXT),
        ("toggle", "--language", NO_TEXT),
        ("toggle", "--from-key", "--language", NO_TEXT),
        ("listen", "--start", "--language", NO_TEXT),
        ("retry", "--language", NO_TEXT),
        ("device", NO_TEXT),
        ("provider", NO_TEXT),
        ("config", "set", "dictation.language", NO_TEXT),
    ],
    ids=lambda command: f"{command[0]}-{command[1]!r}",
)
async def test_a_text_that_is_not_utf_8_is_refused(
    running: RunningService, ctl: Ctl, command: tuple[str | bytes, ...]
) -> None:
    result = await run(ctl, *command)
    assert result.exit == Exit.USAGE
    assert "UTF-8" in result.err
    assert "\\xff" in result.err
    assert running.control.session == 0


@pytest.mark.parametrize("options", [(), LOCAL])
async def test_a_language_that_is_not_utf_8_is_refused_for_a_file(
    bus: PrivateBus, ctl: Ctl, options: tuple[str, ...]
) -> None:
    async with transcribing(bus):
        result = await run(ctl, "transcribe", *options, RECORDING, "--language", NO_TEXT)
    assert result.exit in {Exit.USAGE, Exit.FAILED, Exit.NOT_SUPPORTED}
    assert "d\\xff" in result.err or b"d\xff" in result.err.encode(errors="surrogateescape")
    assert result.out == ""


@pytest.mark.heavy
@pytest.mark.parametrize("odd", ["", LONG, NO_TEXT], ids=["empty", "long", "no text"])
async def test_each_command_refuses_odd_arguments_in_a_line(
    running: RunningService, ctl: Ctl, tmp_path: Path, odd: str | bytes
) -> None:
    """Nothing is written into the current folder, and no session is started."""
    report = str(tmp_path / "report.json")
    commands: tuple[tuple[str | bytes, ...], ...] = (
        ("transcribe", odd),
        ("transcribe", RECORDING, "--local", "--model", odd),
        ("evaluate", odd),
        ("evaluate", str(tmp_path), "--model", odd),
        ("evaluate", str(tmp_path), "--provider", odd),
        ("evaluate", str(tmp_path), "--engine", odd),
        ("evaluate", str(tmp_path), "--compare", odd),
        ("evaluate", str(tmp_path), "-o", odd),
        ("evaluate", "--blind", odd, report),
        ("model", "path", odd),
        ("model", "verify", odd),
        ("model", "prepare", odd),
        ("model", "pull", odd),
        ("model", "remove", odd),
        ("config", "check", odd),
        ("config", "get", odd),
        ("config", "set", odd, "1"),
        ("config", "set", "model.threads", odd),
        ("shortcut", "install", "--desktop", "sway", "--key", odd, "--dry-run"),
        *([] if odd == NO_TEXT else [("doctor", "--report", odd)]),  # it may be the name of a file
        ("device", odd),
        ("provider", odd),
        ("start", "--language", odd),
        ("start", "--max-seconds", odd),
        (odd,),
    )
    before = sorted(Path().iterdir())
    for command in commands:
        await run(ctl, *command)
    assert sorted(Path().iterdir()) == before
    assert running.control.session == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [("--output", ""), ("-o", "", "--force"), ("--model", ""), ("--language", "")])
async def test_an_unset_variable_is_no_default(ctl: Ctl, options: tuple[str, ...]) -> None:
    result = await run(ctl, "transcribe", *LOCAL, RECORDING, *options)
    assert (result.exit, result.out) == (Exit.USAGE, "")
    assert f"argument {'-o/--output' if options[0] in {'-o', '--output'} else options[0]}: " in result.err
    assert "empty" in result.err


async def test_a_file_whose_name_starts_with_a_dash_is_explained(
    ctl: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "-dash.flac").write_bytes(samples()[0].path.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(conftest, "ROOT", tmp_path)
    for arguments in (("-dash.flac",), ("x.flac", "-dash.flac")):
        refused = await run(ctl, "transcribe", *LOCAL, *arguments)
        assert refused.exit == Exit.USAGE
        assert "The file -dash.flac is named ./-dash.flac here" in refused.err
    for arguments in (("./-dash.flac",), ("--", "-dash.flac")):
        assert (await run(ctl, "transcribe", *LOCAL, *arguments)).exit == Exit.DONE
