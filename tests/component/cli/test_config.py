"""coldvoxctl config."""

import re
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from coldvoxd import settings_file
from coldvoxd.cli.exit_codes import Exit
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.private_bus import PrivateBus

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
