"""An X11 keyboard map: which keys, pressed together, give a character in the active layout.

The lookup rules are those that clients use: "The X Keyboard Extension: Protocol Specification", sections 12 (types and
levels) and 15.2.2 (GetMap's reply).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

SHIFT, CAPS_LOCK, CONTROL, ALT, SUPER, LEVEL3 = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 6, 1 << 7
"""Modifier bits, as all desktops bind them; Level3 is AltGr."""
_MODIFIER_KEYS = {
    SHIFT: (0xFFE1, 0xFFE2),
    CONTROL: (0xFFE3, 0xFFE4),
    ALT: (0xFFE9, 0xFFEA),
    SUPER: (0xFFEB, 0xFFEC),
    LEVEL3: (0xFE03,),
}
"""Keysyms of the keys that set a modifier while they are held (X11/keysymdef.h)."""
_PRESSED = (0, SHIFT, LEVEL3, SHIFT | LEVEL3)
"""The modifiers that may be pressed together with a key."""
ALPHABETIC = 2
"""The key type ALPHABETIC; XKB fixes its index."""
_UNICODE = 0x1000000
_LETTERS = range(ord("a"), ord("z") + 1)

Stroke = tuple[int, ...]
"""Key codes, pressed in this order and released in reverse order."""


@dataclass(frozen=True, slots=True)
class KeyType:
    """How modifiers select a key's level."""

    mask: int
    """The modifiers that this type considers."""
    levels: Mapping[int, int]
    """Level by the effective modifiers, masked; combinations that are not listed select level 0."""


@dataclass(frozen=True, slots=True)
class Key:
    """The keysyms of one key by group (layout) and level."""

    types: tuple[int, int, int, int]
    """The type of each group, as indices into `Keymap.types`."""
    groups: int
    """The number of groups, and how a group out of range is handled: groupInfo of GetMap."""
    width: int
    """Keysyms per group."""
    keysyms: tuple[int, ...]

    @classmethod
    def of_character(cls, keysym: int) -> "Key":
        """Return a key that gives an ASCII character in every layout, and its capital with Shift."""
        return cls((ALPHABETIC, 0, 0, 0), 1, 2, (keysym, ord(chr(keysym).upper())))

    @property
    def wire(self) -> bytes:
        """The KEYSYMMAP structure of GetMap and SetMap."""
        count = len(self.keysyms)
        return struct.pack(f"<4BBBH{count}I", *self.types, self.groups, self.width, count, *self.keysyms)

    def group(self, effective: int) -> int | None:
        """Return the key's group while `effective` is the active group; None if the key has no groups."""
        count = self.groups & 0x0F
        if effective < count:
            return effective
        if not count:
            return None
        match self.groups & 0xC0:
            case 0x40:
                return count - 1
            case 0x80:
                wanted = self.groups >> 4 & 3
                return wanted if wanted < count else 0
        return effective % count


@dataclass(frozen=True, slots=True)
class Keymap:
    """A snapshot of the keyboard map."""

    first: int
    """The lowest key code."""
    keys: tuple[Key, ...]
    types: tuple[KeyType, ...]
    modifiers: Mapping[int, int]
    """Modifier bits that a key sets, by key code."""
    _known: dict[tuple[int, int], Mapping[int, Stroke]] = field(default_factory=dict, compare=False)

    @classmethod
    def parsed(cls, reply: bytes) -> "Keymap":
        """Parse the reply to XkbGetMap for key types, keysyms and the modifier map."""
        type_count, first_code, key_count, modifier_count = reply[15], reply[17], reply[20], reply[33]
        at = 40
        types, keys = [], []
        for _ in range(type_count):
            found, at = _key_type(reply, at)
            types.append(found)
        for _ in range(key_count):
            key, at = _key(reply, at)
            keys.append(key)
        pairs = struct.iter_unpack("BB", reply[at : at + 2 * modifier_count])
        return cls(first_code, tuple(keys), tuple(types), dict(pairs))

    def stroke(self, keysym: int, group: int, modifiers: int) -> Stroke | None:
        """Return the keys that give `keysym` while the locked `modifiers` are in effect; None if there are none.

        Keysyms of ASCII characters are 0x20 to 0x7E. A stroke without AltGr is preferred, then the lowest key code.
        """
        found = self._known.get((group, modifiers))
        if found is None:
            found = self._known[group, modifiers] = self._strokes(group, modifiers)
        return found.get(keysym)

    def modifier_key(self, modifier: int) -> int | None:
        """Return the code of a key that sets `modifier` alone; None if there is none."""
        for code, _ in self._coded():
            if self.modifiers.get(code) == modifier and self._keysym(code, 0, 0) in _MODIFIER_KEYS[modifier]:
                return code
        return None

    def unused_key(self) -> int | None:
        """Return the highest code of a key without keysyms; None if all keys have some."""
        unused = [code for code, key in self._coded() if not any(key.keysyms) and code not in self.modifiers]
        return max(unused, default=None)

    def key(self, code: int) -> Key:
        """Return the key with this code."""
        return self.keys[code - self.first]

    @property
    def groups(self) -> range:
        """The indices of the layouts."""
        return range(max(key.groups & 0x0F for key in self.keys))

    @property
    def codes(self) -> range:
        """All key codes."""
        return range(self.first, self.first + len(self.keys))

    def _coded(self) -> Iterator[tuple[int, Key]]:
        return enumerate(self.keys, self.first)

    def _strokes(self, group: int, modifiers: int) -> Mapping[int, Stroke]:
        found: dict[int, Stroke] = {}
        for with_level3 in (False, True):
            held = [self._held(pressed) for pressed in _PRESSED if bool(pressed & LEVEL3) is with_level3]
            for code, _ in self._coded():
                for pressed, codes in held:
                    keysym = self._keysym(code, group, modifiers | pressed) if codes is not None else 0
                    if keysym and codes is not None:
                        found.setdefault(keysym, (*codes, code))
        return found

    def _held(self, pressed: int) -> tuple[int, Stroke | None]:
        """Return the modifiers `pressed` and the codes of their keys; None if one of them has no key."""
        codes = [self.modifier_key(modifier) for modifier in (SHIFT, LEVEL3) if pressed & modifier]
        known = tuple(code for code in codes if code is not None)
        return pressed, known if len(known) == len(codes) else None

    def _keysym(self, code: int, group: int, modifiers: int) -> int:
        """Return the keysym that a client reads; 0 for none."""
        key = self.key(code)
        own = key.group(group)
        if own is None:
            return 0
        kind = self.types[key.types[own]]
        level = kind.levels.get(modifiers & kind.mask, 0)
        keysym = key.keysyms[own * key.width + level] if level < key.width else 0
        if _UNICODE + 0x20 <= keysym <= _UNICODE + 0x7E:
            keysym -= _UNICODE
        if keysym in _LETTERS and modifiers & CAPS_LOCK & ~kind.mask:
            return keysym - 0x20  # clients capitalize if the type does not consume Caps Lock
        return keysym


def _key_type(reply: bytes, at: int) -> tuple[KeyType, int]:
    """Return the type at offset `at`, and the offset after it."""
    mask, _, _, _, count, preserves = struct.unpack_from("<BBHBB?", reply, at)
    at += 8
    entries = [struct.unpack_from("<?BB", reply, at + 8 * place) for place in range(count)]
    levels = {applying: level for active, applying, level in entries if active}
    return KeyType(mask, levels), at + 8 * count + (4 * count if preserves else 0)


def _key(reply: bytes, at: int) -> tuple[Key, int]:
    """Return the key at offset `at`, and the offset after it."""
    *types, groups, width, count = struct.unpack_from("<4BBBH", reply, at)
    keysyms = struct.unpack_from(f"<{count}I", reply, at + 8)
    return Key((types[0], types[1], types[2], types[3]), groups, width, keysyms), at + 8 + 4 * count
