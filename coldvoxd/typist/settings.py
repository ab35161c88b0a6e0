"""Settings of the delivery per application: ~/.config/coldvoxd/type.toml."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from coldvoxd.typist.errors import TypeSettingsError
from coldvoxd.userdirs.text_files import read_text


class Method(StrEnum):
    AUTO = "auto"
    """Typed if that is exact, otherwise pasted."""
    TYPE = "type"
    PASTE = "paste"
    PORTAL = "portal"
    """Pasted with the keyboard of the desktop's portal, as GNOME and KDE require on Wayland."""
    CLIPBOARD = "clipboard"
    """Left in the clipboard for the user to paste."""


class Selection(StrEnum):
    CLIPBOARD = "clipboard"
    PRIMARY = "primary"
    """The selection that the middle mouse button pastes; xterm's Shift+Insert too."""


@dataclass(frozen=True, slots=True)
class Rule:
    method: Method = Method.AUTO
    """How texts are delivered: `auto`, typed if that is exact, otherwise pasted; `type`; `paste`; `portal`, pasted with the keyboard of the desktop's portal, as GNOME and KDE require on Wayland; or `clipboard`, left there for you to paste."""
    chord: str = "ctrl+v"
    """Keys that paste, such as `ctrl+shift+v`."""
    selection: Selection = Selection.CLIPBOARD
    """Selection from which the chord pastes: `clipboard`, or `primary`, as xterm's Shift+Insert does."""
    delay_ms: int = 2
    """Milliseconds between two typed keys."""


@dataclass(frozen=True, slots=True)
class Settings:
    rule: Rule = Rule()
    applications: Mapping[str, Rule] = field(default_factory=dict)
    """Rules by class or instance of WM_CLASS (X11) or app_id (Wayland), in lower case."""

    def rule_for(self, *names: str) -> Rule:
        """Return the rule for the first of an application's names that has one."""
        return next((self.applications[name] for name in names if name in self.applications), self.rule)


_TERMINAL = {"chord": "ctrl+shift+v"}
_TERMINALS = (
    "alacritty com.mitchellh.ghostty com.raggesilver.blackbox com.system76.cosmicterm cool-retro-term deepin-terminal foot "
    "footclient gnome-terminal gnome-terminal-server guake io.elementary.terminal kgx kitty konsole lxterminal mate-terminal "
    "org.gnome.console org.gnome.ptyxis org.gnome.terminal org.kde.konsole org.wezfurlong.wezterm qterminal roxterm sakura "
    "st st-256color terminator terminology termite tilda tilix xfce4-terminal yakuake"
)
_PRIMARY = {"chord": "shift+Insert", "selection": "primary"}
_OLDER_TERMINALS = "eterm mlterm rxvt urxvt uxterm xterm"
BUILT_IN: Mapping[str, Mapping[str, Any]] = dict.fromkeys(_TERMINALS.split(), _TERMINAL) | dict.fromkeys(
    _OLDER_TERMINALS.split(), _PRIMARY
)
"""Applications that use a different paste chord."""


def load(path: Path) -> Settings:
    """Read `path` over the built-in rules. A missing file is no error. Raises TypeSettingsError if it is invalid."""
    try:
        content = tomllib.loads(read_text(path))
    except FileNotFoundError as error:
        if path.is_symlink():
            raise TypeSettingsError(f"{path}: {error}") from error
        content = {}
    except (OSError, ValueError) as error:
        raise TypeSettingsError(f"{path}: {error}") from error
    own = content.pop("applications", {})
    rule = _rule(content, Rule(), str(path))
    if not isinstance(own, dict):
        raise TypeSettingsError(f"{path}: applications must be tables, as in [applications.firefox]")
    applications = {name: _rule(changes, rule, "") for name, changes in BUILT_IN.items()}
    for name, changes in own.items():
        if not isinstance(changes, dict):
            raise TypeSettingsError(f"{path}: applications.{name} must be a table, as in [applications.{name}]")
        before = applications.get(name.lower(), rule)
        applications[name.lower()] = _rule(changes, before, f"{path}: applications.{name}")
    return Settings(rule, applications)


def _rule(changes: Mapping[str, Any], before: Rule, place: str) -> Rule:
    known = {item.name for item in fields(Rule)}
    made: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known:
            raise TypeSettingsError(f"{place}: {key} is unknown; the keys are {', '.join(sorted(known))}")
        made[key] = _value(key, value, place)
    return replace(before, **made)


def _value(key: str, value: Any, place: str) -> Any:
    if key == "delay_ms":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000:
            raise TypeSettingsError(f"{place}: delay_ms must be a whole number from 0 to 1000, not {value!r}")
        return value
    if not isinstance(value, str) or not value:
        raise TypeSettingsError(f"{place}: {key} must be a word in quotes, not {value!r}")
    choices: Mapping[str, type[StrEnum]] = {"method": Method, "selection": Selection}
    if key not in choices:
        return value
    try:
        return choices[key](value)
    except ValueError:
        raise TypeSettingsError(f"{place}: {key} must be one of {', '.join(choices[key])}, not {value!r}") from None
