"""The doctor names the programs that typing lacks on the desktop in use."""

import os
from pathlib import Path

import pytest

from coldvoxd.doctor.examination import examine


def findings(path: Path, monkeypatch: pytest.MonkeyPatch, **displays: str) -> list[tuple[str, str, str]]:
    """Return verdict, text and remedy of each finding, with only the programs of one folder."""
    monkeypatch.setenv("PATH", str(path))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in displays.items():
        monkeypatch.setenv(name, value)
    return [(found.verdict, found.text, found.remedy) for found in examine(["typing"])]


def install(path: Path, *programs: str) -> None:
    for program in programs:
        (path / program).write_text("#!/bin/sh\n")
        (path / program).chmod(0o755)


def test_without_a_desktop_nothing_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings(tmp_path, monkeypatch) == []


def test_each_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "xclip")
    found = findings(tmp_path, monkeypatch, DISPLAY=":1", WAYLAND_DISPLAY="wayland-0")
    assert [(verdict, remedy) for verdict, _, remedy in found] == [
        ("warn", "sudo apt install xdotool"),
        ("warn", "sudo apt install wl-clipboard"),
    ]
    assert "xdotool is missing" in found[0][1]
    assert os.access(tmp_path / "xclip", os.X_OK)


def test_what_is_installed_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "xclip", "xdotool")
    assert [verdict for verdict, _, _ in findings(tmp_path, monkeypatch, DISPLAY=":1")] == ["ok"]
