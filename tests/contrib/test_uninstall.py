"""uninstall.sh, on home directories made for it, without a service manager (contrib/nspawn-check.sh has the rest)."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = (
    ".local/share/coldvoxd/venv/bin/coldvoxd",
    ".local/share/coldvoxd/models/own/vocab.txt",
    ".cache/coldvoxd/models/big/encoder-model.onnx",
    ".config/coldvoxd/coldvoxd.toml",
    ".config/systemd/user/coldvoxd.service",
    ".config/systemd/user/coldvoxd-model.service",
    ".config/systemd/user/coldvoxd-prepare.service",
    ".config/systemd/user/coldvoxd-keys.service",
    ".config/systemd/user/coldvox-type.service",
    ".config/systemd/user/coldvoxd.service.wants/coldvox-type.service",
    ".config/systemd/user/graphical-session.target.wants/coldvoxd-keys.service",
    ".local/share/applications/org.coldvox.coldvoxd.desktop",
    ".config/systemd/user/default.target.wants/coldvoxd.service",
    ".local/share/dbus-1/services/org.coldvox.Daemon1.service",
    ".local/share/dbus-1/interfaces/org.coldvox.Daemon1.xml",
    ".local/share/man/man1/coldvoxctl.1",
)
RUNTIME = ("run/coldvoxd/spool", "run/coldvoxd-model/progress.json", "run/coldvox-type/undelivered")
FOREIGN = ("run/bus", ".config/systemd/user/other.service", ".local/share/man/man1/other.1", "letter.txt")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in (*OURS, *RUNTIME, *FOREIGN):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    bin_ = tmp_path / ".local/bin"
    bin_.mkdir()
    (bin_ / "coldvoxd").symlink_to(tmp_path / ".local/share/coldvoxd/venv/bin/coldvoxd")
    (bin_ / "coldvoxctl").symlink_to("/opt/pipx/venvs/coldvoxd/bin/coldvoxctl")
    installed = ["directory .local/bin", "directory .local/share/coldvoxd", "file .local/share/man/man1/coldvoxctl.1"]
    directories = (
        ".config/systemd/user/default.target.wants",
        ".config/systemd/user/coldvoxd.service.wants",
        ".config/systemd/user/graphical-session.target.wants",
        ".local/share/applications",
        ".local/share/man/man1",
    )
    made = [f"directory {name}" for name in directories]
    lines = [line.replace(" ", f" {tmp_path}/", 1) for line in installed + made]
    (tmp_path / ".local/share/coldvoxd/installed").write_text("\n".join(lines) + "\n")
    return tmp_path


def uninstall(home: Path, *arguments: str, answer: str = "") -> "subprocess.CompletedProcess[str]":
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(home / "run")}
    return subprocess.run(
        [str(ROOT / "contrib/uninstall.sh"), *arguments],
        env=environment,
        input=answer,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("value", ["relative", ""])
def test_what_lies_below_a_relative_path_is_nobodys_installation(
    home: Path, tmp_path_factory: pytest.TempPathFactory, value: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    letter = elsewhere / "relative/coldvoxd/letter.txt"
    letter.parent.mkdir(parents=True)
    letter.touch()
    names = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], **dict.fromkeys(names, value)}
    done = subprocess.run(
        [str(ROOT / "contrib/uninstall.sh"), "--yes"],
        cwd=elsewhere,
        env=environment | {"XDG_RUNTIME_DIR": str(home / "run")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert letter.exists()
    assert not (home / ".config/coldvoxd").exists()
    assert not (home / ".cache/coldvoxd").exists()


def left(home: Path) -> set[str]:
    """Return the files, links and empty directories."""
    return {
        str(path.relative_to(home))
        for path in home.rglob("*")
        if path.is_symlink() or path.is_file() or not any(path.iterdir())
    }


def test_it_takes_what_is_ours_and_leaves_the_rest(home: Path) -> None:
    done = uninstall(home, "--yes")
    assert done.returncode == 0, done.stderr
    foreign = {*FOREIGN, ".local/bin/coldvoxctl"}
    made_by_others = {".cache", ".local/share/dbus-1/services", ".local/share/dbus-1/interfaces"}
    assert left(home) == foreign | made_by_others, "directories that the installation did not make stay, empty or not"


def test_settings_and_models_are_kept_where_that_is_said(home: Path) -> None:
    assert uninstall(home, "--yes", "--keep-settings", "--keep-models").returncode == 0
    assert left(home) >= {
        ".config/coldvoxd/coldvoxd.toml",
        ".cache/coldvoxd/models/big/encoder-model.onnx",
        ".local/share/coldvoxd/models/own/vocab.txt",
    }
    assert not (home / ".local/share/coldvoxd/venv").exists()


def test_it_says_what_goes_and_does_nothing_unasked(home: Path) -> None:
    before = left(home)
    done = uninstall(home, answer="y\n")
    assert done.returncode == 1
    assert "--yes" in done.stderr
    for name in OURS[:8]:
        shown = name.split("/coldvoxd/")[0] if "coldvoxd/" in name else name
        assert shown in done.stdout
    assert left(home) == before


def test_where_nothing_is_installed_it_says_so(tmp_path: Path) -> None:
    done = uninstall(tmp_path, "--yes")
    assert done.returncode == 0
    assert "not installed" in done.stdout
    assert not any(tmp_path.iterdir())


def test_undelivered_text_and_audio_do_not_stay_in_the_runtime_directory(home: Path) -> None:
    assert uninstall(home, "--yes", "--keep-settings", "--keep-models").returncode == 0
    assert {path.name for path in (home / "run").iterdir()} == {"bus"}
