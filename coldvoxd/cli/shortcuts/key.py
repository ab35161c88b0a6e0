"""A key with modifiers, and what pressing it does."""

from collections.abc import Mapping
from dataclasses import dataclass

from coldvoxd.cli.exit_codes import UsageFault
from coldvoxd.cli.shortcuts.key_names import key_name, works_alone

DEFAULT_KEY = "Super+Alt+D"
MODIFIERS = ("Super", "Ctrl", "Alt", "Shift")
_OTHER_NAMES = {
    "meta": "Super",
    "mod4": "Super",
    "logo": "Super",
    "control": "Ctrl",
    "mod1": "Alt",
    "primary": "Ctrl",
}
NAMES: Mapping[str, str] = {name.lower(): name for name in MODIFIERS} | _OTHER_NAMES
"""Every spelling of a modifier, in lower case, with its name here."""
START, STOP, TOGGLE = (f"{command} --from-key" for command in ("start", "stop", "toggle"))


@dataclass(frozen=True, slots=True)
class Key:
    """Modifiers in the order of MODIFIERS, and one key."""

    modifiers: tuple[str, ...]
    name: str

    @classmethod
    def parsed(cls, text: str) -> "Key":
        """From a text such as `Super+Alt+D`, with any desktop's spelling of the modifiers. Raises UsageFault."""
        *modifiers, name = (part.strip() for part in text.split("+"))
        found = {NAMES.get(modifier.lower()) for modifier in modifiers}
        known = key_name(name)
        if None in found or not known:
            raise UsageFault(
                f"{text} is not a key: give modifiers ({', '.join(MODIFIERS)}) and a letter, a digit, or a key's name such "
                "as F8, Return, Page_Up or XF86AudioMicMute, as in Super+Alt+D."
            )
        return cls(tuple(modifier for modifier in MODIFIERS if modifier in found), known)

    def check_alone(self) -> None:
        """Raises UsageFault if the key would be missing in all programs."""
        if not works_alone(self.name) and set(self.modifiers) <= {"Shift"}:
            raise UsageFault(
                f"{self} alone would no longer reach any program: add Super, Ctrl or Alt, as in Super+Alt+{self.name}."
            )

    def same_as(self, other: "Key") -> bool:
        return self.modifiers == other.modifiers and self.name.lower() == other.name.lower()

    def __str__(self) -> str:
        return "+".join((*self.modifiers, self.name))


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A key, and what it does."""

    key: Key
    hold: bool
    """Dictate while the key is held, instead of starting and stopping at each press."""
    program: str
    """The path of coldvoxctl."""
