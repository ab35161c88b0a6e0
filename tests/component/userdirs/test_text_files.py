"""Settings and model lists are read only from regular files; other kinds of files are rejected without waiting."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from coldvoxd.core.errors import SettingsError
from coldvoxd.models.catalog import known_models
from coldvoxd.settings_file import load
from coldvoxd.typist.errors import TypeSettingsError
from coldvoxd.typist.settings import load as load_typing
from coldvoxd.userdirs.text_files import MOST_BYTES, read_text


def fifo(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def large(path: Path) -> None:
    path.write_bytes(b"#" * (MOST_BYTES + 1))


NO_FILES = pytest.mark.parametrize(
    ("make", "said"), [(fifo, "not a regular file"), (zeros, "larger than 1 MiB"), (large, "larger than 1 MiB")]
)


@NO_FILES
def test_settings_are_refused_at_once(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    make(tmp_path / "coldvoxd.toml")
    with pytest.raises(SettingsError, match=said):
        load(tmp_path / "coldvoxd.toml", {})
    make(tmp_path / "type.toml")
    with pytest.raises(TypeSettingsError, match=said):
        load_typing(tmp_path / "type.toml")


@NO_FILES
def test_a_list_of_models_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], said: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "coldvoxd").mkdir()
    make(tmp_path / "coldvoxd/models.toml")
    with pytest.raises(SettingsError, match=said):
        known_models()


def test_a_link_that_leads_nowhere_is_not_taken_for_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "coldvoxd").mkdir()
    for name in ("coldvoxd.toml", "models.toml", "type.toml"):
        (tmp_path / "coldvoxd" / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match=r"coldvoxd\.toml cannot be read: No such file"):
        load()
    with pytest.raises(SettingsError, match=r"models\.toml cannot be read: No such file"):
        known_models()
    with pytest.raises(TypeSettingsError, match=r"type\.toml cannot be read: No such file"):
        load_typing(tmp_path / "coldvoxd/type.toml")


def test_the_empty_device_is_an_empty_file_and_a_directory_is_named_as_one() -> None:
    assert read_text(Path("/dev/null")) == ""
    with pytest.raises(IsADirectoryError):
        read_text(Path(sys.prefix))


def test_a_byte_order_mark_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "coldvoxd").mkdir()
    settings, typing, models = (tmp_path / f"coldvoxd/{name}.toml" for name in ("coldvoxd", "type", "models"))
    settings.write_text('[model]\nname = "mini"\n', encoding="utf-8-sig")
    typing.write_text("delay_ms = 7\n", encoding="utf-8-sig")
    models.write_text(f'[own]\nrepository = "me/own"\nrevision = "{"0" * 40}"\n', encoding="utf-8-sig")
    assert load(environment={}).model.name == "mini"
    assert load_typing(typing).rule.delay_ms == 7
    assert "own" in known_models()
