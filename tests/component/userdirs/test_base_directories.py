"""The XDG base directories: a path that is not absolute is ignored, and no directory is made in the current one."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coldvoxd import settings_file
from coldvoxd.bus.connection import session_address
from coldvoxd.cli.install_ledger import Places
from coldvoxd.core.errors import BusUnavailable
from coldvoxd.crash_recovery.spool import runtime_directory
from coldvoxd.doctor.desktop import activation_files
from coldvoxd.models import directories as find
from coldvoxd.models.prepared_store import forms_directory
from coldvoxd.models.progress import progress_file
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.base_directories import ignored
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import daemon
from tests.support.environment import environment

ROOT = Path(__file__).parents[3]
HOME = Path("/home/ann")
HOMES: list[tuple[str, Callable[[], Path], str]] = [
    ("XDG_CONFIG_HOME", base_directories.config_home, ".config"),
    ("XDG_DATA_HOME", base_directories.data_home, ".local/share"),
    ("XDG_CACHE_HOME", base_directories.cache_home, ".cache"),
    ("XDG_STATE_HOME", base_directories.state_home, ".local/state"),
]
NOT_ABSOLUTE = ["", "relative", "./relative", "../relative", "~/relative", " /blank"]


@pytest.mark.parametrize(("name", "place", "usual"), HOMES)
@pytest.mark.parametrize("value", NOT_ABSOLUTE)
def test_a_home_that_is_not_absolute_is_the_usual_one(
    name: str, place: Callable[[], Path], usual: str, value: str
) -> None:
    with environment({"HOME": str(HOME), name: value}):
        assert place() == HOME / usual
        assert ignored() == ({name: (value,)} if value else {})
    with environment({"HOME": str(HOME), name: None}):
        assert place() == HOME / usual
    with environment({"HOME": str(HOME), name: "/srv/ann"}):
        assert place() == Path("/srv/ann")


def test_of_a_list_the_absolute_paths_count() -> None:
    with environment({"XDG_DATA_DIRS": "rel:/a::/b:~/c", "XDG_CONFIG_DIRS": "rel:/etc/ann"}):
        assert base_directories.data_dirs() == (Path("/a"), Path("/b"))
        assert base_directories.config_dirs() == (Path("/etc/ann"),)
    with environment({"XDG_DATA_DIRS": "rel", "XDG_CONFIG_DIRS": None}):
        assert base_directories.data_dirs() == (Path("/usr/local/share"), Path("/usr/share"))
        assert base_directories.config_dirs() == (Path("/etc/xdg"),)
    assert ignored({"XDG_DATA_DIRS": "/a:rel", "XDG_CONFIG_DIRS": "/b:"}) == {"XDG_DATA_DIRS": ("rel",)}


@pytest.mark.parametrize("value", NOT_ABSOLUTE)
def test_a_runtime_directory_that_is_not_absolute_is_none(value: str) -> None:
    assert base_directories.runtime_directory({"XDG_RUNTIME_DIR": value}) is None
    assert runtime_directory({"XDG_RUNTIME_DIR": value}) is None
    with environment({"XDG_RUNTIME_DIR": value}):
        assert progress_file() is None


def test_a_home_directory_that_is_not_absolute_is_that_of_the_user_database() -> None:
    for home in ("relative", None):
        with environment({"HOME": home, "XDG_CONFIG_HOME": None}):
            assert base_directories.config_home().is_absolute()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user that the database does not know")
def test_a_user_without_any_home_directory_is_told_to_set_one() -> None:
    program = "import os; from coldvoxd import settings_file; os.setuid(54321); settings_file.load()"
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"]},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stderr.splitlines()[-1].endswith("there is no user with the ID 54321. Set HOME.")


def test_all_that_reads_them_ignores_relative_ones(tmp_path: Path) -> None:
    names = [*(name for name, _, _ in HOMES), "XDG_DATA_DIRS", "XDG_CONFIG_DIRS", "XDG_RUNTIME_DIR"]
    with environment({**dict.fromkeys(names, "relative"), "HOME": str(tmp_path)}):
        assert settings_file.default_path() == tmp_path / ".config/coldvoxd/coldvoxd.toml"
        assert find.cache_directory() == tmp_path / ".cache/coldvoxd/models"
        assert forms_directory() == tmp_path / ".cache/coldvoxd/prepared"
        assert all(root.is_absolute() for root in find.roots())
        assert all(file.is_absolute() for file in activation_files())
        places = Places.of_user()
    assert places == Places(
        tmp_path / ".config", tmp_path / ".local/share", tmp_path / ".cache", tmp_path / ".local/state"
    )


def test_a_bus_below_a_relative_path_is_not_ours() -> None:
    with PrivateBus() as bus:
        variables = {"DBUS_SESSION_BUS_ADDRESS": None, "XDG_RUNTIME_DIR": os.path.relpath(bus.directory)}
        with environment(variables), pytest.raises(BusUnavailable):
            session_address()
        with environment(variables | {"XDG_RUNTIME_DIR": str(bus.directory)}):
            assert session_address() == f"unix:path={bus.directory}/bus"


def test_an_installation_goes_into_no_relative_directory(tmp_path: Path) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    here.mkdir()
    installed = subprocess.run(
        [sys.executable, "-m", "coldvoxd.cli.install_ledger", str(Path(sys.executable).parent)],
        cwd=here,
        env={"HOME": str(home), "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data"},
        check=False,
    )
    assert installed.returncode == 0
    assert list(here.iterdir()) == []
    assert (home / ".config/systemd/user/coldvoxd.service").exists()


@pytest.mark.parametrize("name", ["missing-runtime-directory", None])
async def test_a_daemon_without_a_usable_runtime_directory_dictates_and_says_what_is_lost(
    tmp_path: Path, name: str | None
) -> None:
    """Tests a relative directory, and an absolute one that is missing."""
    with PrivateBus() as bus:
        runtime = name or str(bus.directory / "missing")
        bus.extra_environment = {"XDG_RUNTIME_DIR": runtime}
        async with daemon(bus, tmp_path) as running, running.client() as client:
            assert await client.call("StartDictation") > 0
            await client.call("CancelDictation")
            assert "a crash loses audio that has not been recognized" in running.log
        assert not (ROOT / runtime).exists()


def test_texts_are_kept_in_no_directory_that_is_missing(tmp_path: Path) -> None:
    shown = type_last(tmp_path, str(tmp_path / "missing"))
    assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (78, "", 1)
    assert f"{tmp_path}/missing: the directory does not exist" in shown.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    base_directories.usual_runtime_directory().exists(),
    reason="this login has a runtime directory, which a test leaves alone",
)
@pytest.mark.parametrize("value", ["relative", ""])
def test_texts_are_kept_in_no_relative_directory(tmp_path: Path, value: str) -> None:
    shown = type_last(tmp_path, value)
    assert (shown.returncode, shown.stdout, shown.stderr.count("\n")) == (78, "", 1)
    assert str(base_directories.usual_runtime_directory()) in shown.stderr
    assert ("XDG_RUNTIME_DIR is ignored" in shown.stderr) is bool(value)
    assert list(tmp_path.iterdir()) == []


def type_last(here: Path, runtime: str) -> "subprocess.CompletedProcess[str]":
    """Run `coldvox-type --last` without anything that it could type into."""
    nowhere = f"unix:path={here}/no-bus"
    return subprocess.run(
        [sys.executable, "-m", "coldvoxd.typist", "--last"],
        cwd=here,
        env={
            "HOME": str(here),
            "PYTHONPATH": str(ROOT),
            "XDG_RUNTIME_DIR": runtime,
            "DBUS_SESSION_BUS_ADDRESS": nowhere,
        },
        capture_output=True,
        text=True,
        check=False,
    )
