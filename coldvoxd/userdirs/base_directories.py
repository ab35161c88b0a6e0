"""The XDG base directories. A path that is not absolute is invalid, and ignored as if its variable were not set.

Specification: https://specifications.freedesktop.org/basedir-spec/latest/. Standard library only, because `coldvoxctl
setup` and the bus connection import this module.
"""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from coldvoxd.core.errors import SettingsError

APPLICATION = "coldvoxd"
"""The name of coldvoxd's directory in each of them."""
RUNTIME = "XDG_RUNTIME_DIR"
_HOMES = MappingProxyType(
    {
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "XDG_CACHE_HOME": ".cache",
        "XDG_STATE_HOME": ".local/state",
    }
)
_LISTS = MappingProxyType({"XDG_DATA_DIRS": "/usr/local/share:/usr/share", "XDG_CONFIG_DIRS": "/etc/xdg"})
_ENVIRONMENT: Mapping[str, str] = os.environ


def config_home(environment: Mapping[str, str] = _ENVIRONMENT) -> Path:
    """`~/.config`. All of these functions raise SettingsError if there is no home directory."""
    return _home("XDG_CONFIG_HOME", environment)


def data_home(environment: Mapping[str, str] = _ENVIRONMENT) -> Path:
    """`~/.local/share`."""
    return _home("XDG_DATA_HOME", environment)


def cache_home(environment: Mapping[str, str] = _ENVIRONMENT) -> Path:
    """`~/.cache`."""
    return _home("XDG_CACHE_HOME", environment)


def state_home(environment: Mapping[str, str] = _ENVIRONMENT) -> Path:
    """`~/.local/state`."""
    return _home("XDG_STATE_HOME", environment)


def data_dirs(environment: Mapping[str, str] = _ENVIRONMENT) -> tuple[Path, ...]:
    """The system's data directories in order of precedence; `/usr/local/share` and `/usr/share` by default."""
    return _list("XDG_DATA_DIRS", environment)


def config_dirs(environment: Mapping[str, str] = _ENVIRONMENT) -> tuple[Path, ...]:
    """The system's configuration directories in order of precedence; `/etc/xdg` by default."""
    return _list("XDG_CONFIG_DIRS", environment)


def runtime_directory(environment: Mapping[str, str] = _ENVIRONMENT) -> Path | None:
    """The login's runtime directory, which need not exist; None if the environment does not name one."""
    return _absolute(environment.get(RUNTIME, ""))


def usual_runtime_directory() -> Path:
    """The path that systemd-logind uses for the login's runtime directory, whether it exists or not."""
    return Path(f"/run/user/{os.getuid()}")


def ignored(environment: Mapping[str, str] = _ENVIRONMENT) -> tuple[str, ...]:
    """The names of the variables that have a path that is not absolute."""
    found = {name: [environment.get(name, "")] for name in (*_HOMES, RUNTIME)}
    found |= {name: environment.get(name, "").split(":") for name in _LISTS}
    return tuple(name for name, paths in found.items() if any(path and _absolute(path) is None for path in paths))


def _absolute(path: str) -> Path | None:
    return found if (found := Path(path)).is_absolute() else None


def _home(name: str, environment: Mapping[str, str]) -> Path:
    return _absolute(environment.get(name, "")) or _user_home(environment) / _HOMES[name]


def _user_home(environment: Mapping[str, str]) -> Path:
    if home := _absolute(environment.get("HOME", "")):
        return home
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError as error:
        raise SettingsError(
            f"There is no home directory: HOME is not an absolute path, and there is no user with the ID {os.getuid()}. Set HOME."
        ) from error


def _list(name: str, environment: Mapping[str, str]) -> tuple[Path, ...]:
    named = tuple(filter(None, map(_absolute, environment.get(name, "").split(":"))))
    return named or tuple(map(Path, _LISTS[name].split(":")))
