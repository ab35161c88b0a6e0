"""coldvoxctl config."""

import re
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from coldvoxd import settings_file
from coldvoxd.cli.exit_codes import Exit
from coldvoxd.core.errors import NotReady
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.private_bus import PrivateBus, RunningService

Run = Callable[..., Awaitable[Result]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "coldvoxd" / "coldvoxd.toml"
    file.parent.mkdir()
    return file


@pytest.fixture
def run(ctl: Ctl, bus: PrivateBus, tmp_path: Path) -> Run:
    async def run(*arguments: str, **variables: str) -> Result:
        environment = bus.environment | {"XDG_CONFIG_HOME": str(tmp_path)} | variables
        return await (await ctl("config", *arguments, environment=environment)).ended()

    return run


async def test_the_settings_in_force_and_where_they_come_from(run: Run, file: Path) -> None:
    file.write_text('[model]\nname = "mini"\n')
    shown = await run("show", COLDVOXD_ENDPOINT_HANGOVER_MS="800")
    assert 'name = "mini"  # from the file; the default is "parakeet-tdt-0.6b-v2"' in shown.out
    assert "hangover_ms = 800  # COLDVOXD_ENDPOINT_HANGOVER_MS" in shown.out
    values = tomllib.loads(shown.out)
    assert sum(map(len, values.values())) == len(list(settings_file.describe()))
    [as_json] = (await run("--json", COLDVOXD_ENDPOINT_HANGOVER_MS="800")).objects
    assert as_json == {f"{section}.{key}": value for section, keys in values.items() for key, value in keys.items()}


async def test_one_setting(run: Run, file: Path) -> None:
    file.write_text("[log]\nspoken_text = true\n")
    assert (await run("get", "log.spoken_text")).out == "true\n"
    assert (await run("get", "model.threads")).out == "0\n"
    wrong = await run("get", "model.nmae")
    assert wrong.exit == Exit.USAGE
    assert "model.name" in wrong.err


async def test_the_path_and_the_example(run: Run, file: Path) -> None:
    assert (await run("path")).out == f"{file}\n"
    example = (await run("example")).out
    assert example == settings_file.example()
    file.write_text(re.sub(r"(?m)^#(?=\w+ = )", "", example))
    assert (await run("check")).out == f"{file} can be used\n", "every commented default is a valid line"


async def test_a_mistake_is_told_with_its_line(run: Run, file: Path) -> None:
    assert (await run("check")).exit == Exit.DONE
    file.write_text("[model]\n\nprecision = 'fp8'\n")
    for wrong in (await run("check"), await run(), await run("check", str(file))):
        assert wrong.exit == Exit.FAILED
        assert f"{file}, line 3" in wrong.err


async def test_a_provider_that_does_not_exist_fails_the_check_where_it_is_named(run: Run, file: Path) -> None:
    file.write_text('[model]\nprovider = "nope"\n')
    for wrong in (await run("check"), await run("check", str(file))):
        assert wrong.exit == Exit.FAILED
        assert f"{file}, line 2" in wrong.err
        assert "'nope'" in wrong.err
        assert "cpu" in wrong.err
    wrong = await run("check", COLDVOXD_MODEL_PROVIDER="nein")
    assert wrong.exit == Exit.FAILED
    assert "Environment, COLDVOXD_MODEL_PROVIDER: " in wrong.err
    for right in ("cpu", "CPU", "CPUExecutionProvider", "auto", "virtual:/gpu"):
        assert (await run("check", COLDVOXD_MODEL_PROVIDER=right)).exit == Exit.DONE, right


async def test_a_setting_is_written_checked_and_used(run: Run, file: Path, running: RunningService) -> None:
    file.write_text("# mine\n[model]\nthreads = 2  # two\n")
    file.chmod(0o600)
    result = await run("set", "model.threads", "4")
    assert (result.exit, result.err) == (Exit.DONE, "")
    assert result.out == f"model.threads = 4 is in {file}\nsettings and model reloaded\n"
    assert file.read_text() == "# mine\n[model]\nthreads = 4  # two\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert running.control.providers == ["reload"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "complaint"),
    [
        (("model.threads", "500"), Exit.USAGE, "must be from 0 to 256"),
        (("log.spoken_text", "maybe"), Exit.USAGE, "must be true or false"),
        (("log.level", "loud"), Exit.USAGE, "must be one of"),
        (("microphone.device", "\udcff\udcfe"), Exit.USAGE, "`device` is not UTF-8 text: \\xff\\xfe."),
        (
            ("model.nmae", "x"),
            Exit.USAGE,
            "There is no setting 'model.nmae'; did you mean model.name? `coldvoxctl config",
        ),
        (("nope.x", "1"), Exit.USAGE, "There is no setting 'nope.x'; `coldvoxctl config show` lists all settings."),
        (("gpu", "1"), Exit.USAGE, "'gpu' is a section; its settings are gpu.watch, gpu.look_s, "),
        (("model.provider", "nope"), Exit.USAGE, "has no execution provider 'nope'"),
    ],
)
async def test_an_invalid_value_changes_nothing(
    run: Run, file: Path, arguments: tuple[str, str], exit_code: Exit, complaint: str
) -> None:
    file.write_text("# mine\n")
    result = await run("set", *arguments)
    assert result.exit == exit_code
    assert complaint in result.err
    assert file.read_text() == "# mine\n"
    assert list(file.parent.iterdir()) == [file]


async def test_without_a_daemon_and_without_a_file_a_setting_is_written(run: Run, file: Path) -> None:
    file.parent.rmdir()
    [written] = (await run("set", "--json", "microphone.device", "Blue “Yeti” # 2")).objects
    assert written == {"written": {"microphone.device": "Blue “Yeti” # 2"}, "path": str(file)}
    assert (await run("get", "microphone.device")).out == "Blue “Yeti” # 2\n"


async def test_a_file_with_a_mistake_is_not_changed(run: Run, file: Path) -> None:
    file.write_text("[model]\nnmae = 1\n")
    result = await run("set", "model.name", "mini")
    assert result.exit == Exit.FAILED
    assert "line 2: [model] has no setting `nmae`" in result.err
    assert file.read_text() == "[model]\nnmae = 1\n"


async def test_a_link_stays_a_link(run: Run, file: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("[model]\n")
    file.symlink_to(real)
    assert (await run("set", "model.name", "mini")).exit == Exit.DONE
    assert file.is_symlink()
    assert real.read_text() == '[model]\nname = "mini"\n'


async def test_a_variable_that_overrides_the_file_is_named(run: Run, file: Path) -> None:
    result = await run("set", "model.threads", "4", COLDVOXD_MODEL_THREADS="1")
    assert "COLDVOXD_MODEL_THREADS overrides the file" in result.err
    assert "threads = 4" in file.read_text()


async def test_a_daemon_that_refuses_the_settings_is_quoted(run: Run, file: Path, running: RunningService) -> None:
    running.control.fault = NotReady("There is no model x.")
    result = await run("set", "model.name", "x")
    assert result.exit == Exit.NOT_READY
    assert "The settings are written. There is no model x." in result.err
    assert 'name = "x"' in file.read_text()
