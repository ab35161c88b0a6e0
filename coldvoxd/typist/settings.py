"""Settings of the delivery per application: ~/.config/coldvoxd/type.toml."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from coldvoxd.core.text_formats import NotToml, toml_tables
from coldvoxd.core.toml_spelling import toml_spelling
from coldvoxd.typist.chord_names import canonical
from coldvoxd.typist.errors import TypeSettingsError
from coldvoxd.userdirs.text_files import read_text, why_unread
from coldvoxd.userdirs.toml_lines import line_numbers, nearest_line

_APPLICATIONS = "applications"


class Method(StrEnum):
    AUTO = "auto"
    """Typed if that is exact and needs no Enter or Tab, otherwise pasted."""
    TYPE = "type"
    """Line breaks are typed as Enter, and tabs as Tab."""
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
    """How texts are delivered: `auto`, typed if that is exact and needs no Enter or Tab, otherwise pasted; `type`, with line breaks as Enter and tabs as Tab; `paste`; `portal`, pasted with the keyboard of the desktop's portal, as GNOME and KDE require on Wayland; or `clipboard`, left there for you to paste."""
    chord: str = "ctrl+v"
    """Keys that paste, such as `ctrl+shift+v`: any of `ctrl`, `shift`, `alt` and `super`, and a character or the name of a key, such as `Insert`, `F13` or `XF86Paste`."""
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
    "alacritty com.mitchellh.ghostty com.raggesilver.blackbox com.system76.cosmicterm cool-retro-term "
    "cool-retro-term.cool-retro-term deepin-terminal foot footclient gnome-terminal gnome-terminal-server guake "
    "io.elementary.terminal kgx kitty konsole lxterminal mate-terminal org.gnome.console org.gnome.ptyxis "
    "org.gnome.terminal org.kde.konsole org.kde.yakuake org.wezfurlong.wezterm qterminal roxterm sakura st "
    "st-256color terminator terminology termite tilda tilix xfce4-terminal yakuake"
)
_PRIMARY = {"chord": "shift+Insert", "selection": "primary"}
_OLDER_TERMINALS = "eterm mlterm pterm rxvt urxvt uxterm xterm zutty"
BUILT_IN: Mapping[str, Mapping[str, Any]] = (
    dict.fromkeys(_TERMINALS.split(), _TERMINAL)
    | dict.fromkeys(_OLDER_TERMINALS.split(), _PRIMARY)
    | {"termit": {"chord": "shift+Insert"}, "emacs": {"chord": "ctrl+y"}}
)
"""Applications that use a different paste chord."""


def load(path: Path) -> Settings:
    """Read `path` over the built-in rules. A missing file is no error. Raises TypeSettingsError if it is invalid."""
    text = _text(path)
    try:
        content = toml_tables(text)
    except NotToml as error:
        raise TypeSettingsError(f"{path} {error}") from error
    lines = line_numbers(text)

    def place(*keys: str) -> str:
        return f"{path}, line {nearest_line(lines, keys)}"

    own = content.pop(_APPLICATIONS, {})
    rule = _rule(content, Rule(), place)
    if not isinstance(own, dict):
        raise TypeSettingsError(
            f"{place(_APPLICATIONS)}: {_APPLICATIONS} must be tables, as in [applications.firefox]."
        )
    applications = {name: _rule(changes, rule, place) for name, changes in BUILT_IN.items()}
    for name, changes in own.items():
        if not isinstance(changes, dict):
            where = place(_APPLICATIONS, name)
            raise TypeSettingsError(f"{where}: {_APPLICATIONS}.{name} must be a table, as in [{_APPLICATIONS}.{name}].")
        before = applications.get(name.lower(), rule)
        applications[name.lower()] = _rule(changes, before, partial(place, _APPLICATIONS, name))
    return Settings(rule, applications)


def _text(path: Path) -> str:
    """The content of the file; empty if there is none. Raises TypeSettingsError."""
    try:
        return read_text(path)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise TypeSettingsError(f"{path} cannot be read: {why_unread(error)}.") from error
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise TypeSettingsError(f"{path} cannot be read: {why_unread(error)}.") from error


def _rule(changes: Mapping[str, Any], before: Rule, place: Callable[[str], str]) -> Rule:
    known = {item.name for item in fields(Rule)}
    made: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known:
            raise TypeSettingsError(
                f"{place(key)}: there is no setting `{key}`; there are {', '.join(sorted(known))}, and for an application "
                f"the same ones below [{_APPLICATIONS}.NAME]."
            )
        made[key] = _value(key, value, place(key))
    return replace(before, **made)


def _value(key: str, value: Any, where: str) -> Any:
    if key == "delay_ms":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000:
            raise TypeSettingsError(
                f"{where}: `delay_ms` must be a whole number from 0 to 1000, not {toml_spelling(value)}."
            )
        return value
    if not isinstance(value, str) or not value:
        raise TypeSettingsError(f"{where}: `{key}` must be a word in quotes, not {toml_spelling(value)}.")
    if key == "chord":
        try:
            return canonical(value)
        except ValueError as error:
            raise TypeSettingsError(f"{where}: `chord` is {toml_spelling(value)}, which {error}.") from None
    choices: Mapping[str, type[StrEnum]] = {"method": Method, "selection": Selection}
    try:
        return choices[key](value)
    except ValueError:
        raise TypeSettingsError(
            f"{where}: `{key}` must be one of {', '.join(choices[key])}, not {toml_spelling(value)}."
        ) from None
