"""The wheel, installed without a checkout: pip, `coldvoxctl setup`, dictation, and nothing left afterwards."""

import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually_blocking
from tests.support.login.login import UNIT
from tests.support.login.user_manager import ROOT, UserManager, let_units_see_checkout, user_manager, wait_until_active
from tests.support.sound.speech import samples

SETTINGS = """\
[model]
name = "mini"
provider = "cpu"
[microphone]
device = "virtual:{runtime}/coldvoxd/mic"
"""
DOCUMENTATION = (
    "bash-completion/completions/coldvoxctl",
    "zsh/site-functions/_coldvoxctl",
    "fish/vendor_completions.d/coldvoxctl.fish",
    "man/man1/coldvoxctl.1",
    "man/man1/coldvoxd.1",
    "man/man5/coldvoxd.toml.5",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from an sdist, and so only from the sdist's content."""
    into = tmp_path_factory.mktemp("dist")
    into.chmod(0o755)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = into.glob("coldvoxd-*.whl")
    return wheel


@pytest.fixture(scope="module")
def here(wheel: Path) -> Iterator[UserManager]:
    """A login with the wheel in a separate environment, and settings; nothing else of coldvoxd."""
    with user_manager(wheel.parent, kind=UserManager) as running:
        environment = running.home / ".local/share/pipx/venvs/coldvoxd"
        running.run(sys.executable, "-m", "venv", "--without-pip", environment)
        pip = (sys.executable, "-m", "pip", "--python", environment / "bin/python", "--no-cache-dir")
        running.run(*pip, "install", "--no-deps", "--no-index", "--no-compile", wheel)
        # Its dependencies are those of the tests; test_distribution shows that pip finds all of them without torch.
        site = environment / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
        let_units_see_checkout(running)
        running.write(site / "dependencies.pth", sysconfig.get_path("purelib") + "\n")
        running.run("mkdir", _bin(running))
        programs = [environment / "bin" / name for name in ("coldvoxd", "coldvoxctl", "coldvox-type")]
        running.run("ln", "-s", *programs, _bin(running))
        running.write(".config/coldvoxd/coldvoxd.toml", SETTINGS.format(runtime=running.runtime))
        try:
            yield running
        except BaseException:
            print(running.journal(), running.logs())
            raise


def test_pip_and_setup_give_dictation_and_removal_leaves_nothing(here: UserManager) -> None:
    ctl = _bin(here) / "coldvoxctl"
    before = _everything(here)
    said = here.run(ctl, "setup", "--cpu", "--typing").stdout
    wait_until_active(here, UNIT)
    wait_until_active(here, "coldvox-type.service")
    assert here.show("coldvox-type.service", "UnitFileState") == "enabled"
    data = here.home / ".local/share"
    for name in DOCUMENTATION:
        assert f"installed {data / name}\n" in said
        assert here.run("test", "-s", data / name, check=False).returncode == 0, name
    assert f"path={_bin(here)}/coldvoxd ;" in here.show(UNIT, "ExecStart")
    assert here.show(UNIT, "UnitFileState") == "enabled"
    assert "org.coldvox.Daemon1" in here.run("busctl", "--user", "list", "--activatable", "--no-legend").stdout
    _dictate(here, ctl)

    here.run(ctl, "setup", "--remove")
    assert here.show(UNIT, "LoadState") == "not-found"
    assert "org.coldvox.Daemon1" not in here.run("busctl", "--user", "list", "--no-legend").stdout
    assert _everything(here) == before
    here.run(ctl, "setup", "--remove", "--purge")
    settings = {str(here.home / ".config/coldvoxd"), str(here.home / ".config/coldvoxd/coldvoxd.toml")}
    assert before - _everything(here) == settings


def _dictate(here: UserManager, ctl: Path) -> None:
    """Speak a sentence into the virtual microphone of the service that setup has started."""
    sample = samples()[2]
    eventually_blocking(
        lambda: '"idle"' in here.run(ctl, "--json", "status", check=False).stdout, what="an idle daemon"
    )
    here.run(ctl, "start")
    microphone = here.runtime / "coldvoxd/mic"
    python = here.home / ".local/share/pipx/venvs/coldvoxd/bin/python"
    for line in (f"SPEAK {sample.path}", "SILENCE 1200"):
        here.run(python, "-m", "coldvoxd.virtual.client", microphone, line)
    assert here.run(ctl, "stop").stdout.strip() == sample.heard["fp32"]


def _bin(here: UserManager) -> Path:
    return here.home / ".local/bin"


def _everything(here: UserManager) -> set[str]:
    """Return everything in the home except the package's own environment."""
    return set(here.run("find", here.home, "-not", "-path", "*/pipx/*").stdout.splitlines())
