"""How to bind the key on desktops that coldvoxctl does not configure."""

from collections.abc import Callable, Mapping

from coldvoxd.cli.shortcuts.key import TOGGLE, Key, Shortcut
from coldvoxd.cli.shortcuts.key_names import in_config

_KEYBOARD_SETTINGS = {
    "xfce": "Settings > Keyboard > Application Shortcuts > Add",
    "x-cinnamon": "System Settings > Keyboard > Shortcuts > Custom Shortcuts > Add custom shortcut",
    "cinnamon": "System Settings > Keyboard > Shortcuts > Custom Shortcuts > Add custom shortcut",
    "mate": "Control Center > Keyboard Shortcuts > Add",
    "lxqt": "LXQt Configuration > Shortcut Keys > Add",
    "budgie": "Settings > Keyboard > Custom Shortcuts > Add",
    "cosmic": "Settings > Input Devices > Keyboard > Keyboard Shortcuts > Custom > Add shortcut",
    "deepin": "Control Center > Keyboard > Shortcuts > Add Custom Shortcut",
    "unity": "System Settings > Keyboard > Shortcuts > Custom Shortcuts",
}
"""Where a desktop's settings have its own shortcuts, by its name in XDG_CURRENT_DESKTOP."""
_OPENBOX_MODIFIERS = {"Super": "W", "Ctrl": "C", "Alt": "A", "Shift": "S"}
_I3_MODIFIERS = {"Super": "Mod4", "Ctrl": "Ctrl", "Alt": "Mod1", "Shift": "Shift"}


def instructions(desktop: str, shortcut: Shortcut) -> str:
    """What to bind where on this desktop, a name from XDG_CURRENT_DESKTOP in lower case; empty if it is unknown."""
    command = f"{shortcut.program} {TOGGLE}"
    if desktop in _FILES:
        return _FILES[desktop](shortcut.key, command)
    if place := _KEYBOARD_SETTINGS.get(desktop):
        return f"In {place}, bind {shortcut.key} to the command `{command}`."
    return ""


def _i3(key: Key, command: str) -> str:
    keys = "+".join((*(_I3_MODIFIERS[modifier] for modifier in key.modifiers), in_config(key.name)))
    return f"Add to ~/.config/i3/config: `bindsym {keys} exec --no-startup-id {command}`. Then run `i3-msg reload`."


def _labwc(key: Key, command: str) -> str:
    return f"Add to <keyboard> in ~/.config/labwc/rc.xml: `{_keybind(key, command)}`. Then run `labwc --reconfigure`."


def _openbox(key: Key, command: str) -> str:
    return f"Add to <keyboard> in Openbox's rc.xml: `{_keybind(key, command)}`. Then run `openbox --reconfigure`."


def _keybind(key: Key, command: str) -> str:
    keys = "-".join((*(_OPENBOX_MODIFIERS[modifier] for modifier in key.modifiers), in_config(key.name)))
    return f'<keybind key="{keys}"><action name="Execute"><command>{command}</command></action></keybind>'


_FILES: Mapping[str, Callable[[Key, str], str]] = {
    "i3": _i3,
    "labwc": _labwc,
    "openbox": _openbox,
    "lxde": _openbox,
}
