"""The doctor's findings on the variables that name the user's directories."""

import os
from pathlib import Path

import pytest

from coldvoxd.doctor.storage import directories


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("XDG_DATA_DIRS", "share", "XDG_DATA_DIRS is ignored, because `share` is not absolute"),
        ("XDG_DATA_DIRS", "share:/usr/share", "in XDG_DATA_DIRS, the relative path `share` is ignored"),
        ("XDG_CONFIG_DIRS", "/etc/xdg:a:b", "in XDG_CONFIG_DIRS, the relative paths `a` and `b` are ignored"),
        ("XDG_CACHE_HOME", "cache", "XDG_CACHE_HOME is ignored, because `cache` is not absolute"),
        ("HOME", "ann", "HOME is ignored, because `ann` is not absolute"),
    ],
)
def test_a_relative_path_is_named_with_its_variable(name: str, value: str, text: str, tmp_path: Path) -> None:
    [found] = directories({"HOME": str(tmp_path), name: value})
    assert (found.text, found.remedy) == (text, f"write absolute paths into {name}")


def test_a_home_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    [missing] = directories({"HOME": str(tmp_path / "gone")})
    assert missing.text == f"HOME is {tmp_path}/gone, which cannot be used: No such file or directory"
    assert missing.remedy == "set HOME to your home directory"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_a_home_directory_of_another_user_is_named(tmp_path: Path) -> None:
    os.chown(tmp_path, 54321, 54321)
    [other] = directories({"HOME": str(tmp_path)})
    assert other.text == f"HOME is {tmp_path}, which belongs to another user"


def test_usual_variables_have_no_finding(tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path), "XDG_DATA_DIRS": "/usr/share:", "XDG_CACHE_HOME": "/srv/cache"}
    assert list(directories(variables)) == []
    assert list(directories({})) == []
