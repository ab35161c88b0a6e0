"""The XDG base directories: platformdirs has them, and this module adds coldvoxd's rules.

Specification: https://specifications.freedesktop.org/basedir-spec/latest/. A path that is not absolute is invalid, and is
ignored as if its variable were not set. From the first release that does so, platformdirs is required.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import platformdirs

from coldvoxd.core.errors import SettingsError

APPLICATION = "coldvoxd"
"""The name of coldvoxd's directory in each of them."""
RUNTIME = "XDG_RUNTIME_DIR"
_HOMES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")
_LISTS = ("XDG_DATA_DIRS", "XDG_CONFIG_DIRS")


def config_home() -> Path:
    """`~/.config`. This function and the next three raise SettingsError if there is no home directory."""
    return _home(platformdirs.user_config_path)


def data_home() -> Path:
    """`~/.local/share`."""
    return _home(platformdirs.user_data_path)


def cache_home() -> Path:
    """`~/.cache`."""
    return _home(platformdirs.user_cache_path)


def state_home() -> Path:
    """`~/.local/state`."""
    return _home(platformdirs.user_state_path)


def data_dirs() -> tuple[Path, ...]:
    """The system's data directories in order of precedence; `/usr/local/share` and `/usr/share` by default."""
    return tuple(map(Path, platformdirs.site_data_dir(multipath=True).split(os.pathsep)))


def config_dirs() -> tuple[Path, ...]:
    """The system's configuration directories in order of precedence; `/etc/xdg` by default."""
    return tuple(map(Path, platformdirs.site_config_dir(multipath=True).split(os.pathsep)))


def runtime_directory(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The login's runtime directory, which need not exist; None if the environment does not name one.

    Not platformdirs': it falls back to the temporary directory, which may be a disk, and spoken text must not reach one.
    """
    return path if (path := Path(environment.get(RUNTIME, ""))).is_absolute() else None


def usual_runtime_directory() -> Path:
    """The path that systemd-logind uses for the login's runtime directory, whether it exists or not."""
    return Path(f"/run/user/{os.getuid()}")


def ignored(environment: Mapping[str, str] = os.environ) -> Mapping[str, tuple[str, ...]]:
    """The paths that are not absolute, by the variables that have them. Other paths of the same variable are used."""
    given = {name: [environment.get(name, "")] for name in (*_HOMES, RUNTIME, "HOME")}
    given |= {name: environment.get(name, "").split(os.pathsep) for name in _LISTS}
    found = {
        name: tuple(path for path in paths if path and not Path(path).is_absolute()) for name, paths in given.items()
    }
    return {name: paths for name, paths in found.items() if paths}


def _home(directory: Callable[[], Path]) -> Path:
    try:
        return directory()
    except RuntimeError as error:
        raise SettingsError(
            f"There is no home directory: HOME is not an absolute path, and there is no user with the ID {os.getuid()}. Set HOME."
        ) from error
