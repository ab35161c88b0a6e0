"""Removes what identifies a person or a machine from a text."""

import os
import pwd
import re
import socket
from dataclasses import dataclass
from pathlib import Path

_PATTERNS = (
    (re.compile(r"(?<=://)[^/\s@]+@"), ""),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "EMAIL"),
    (re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}[:_-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])"), "MAC"),
    (re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"), "IP"),
    (re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}"), "IP"),
    (
        re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{1,4}:){2,}:?[0-9A-Fa-f]{1,4}(?![0-9A-Fa-f:])(?<!\d\d:\d\d:\d\d)"),
        "IP",
    ),
    (re.compile(r"\bhf_[A-Za-z0-9]{8,}"), "TOKEN"),
    (re.compile(r"(?i)\b(token|password|secret|authorization)(\s*[=:]\s*)\S+"), r"\1\2REDACTED"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
)
"""Addresses of people, devices and networks; keys; the IDs of machines and boots."""
_SPOKEN = re.compile(r"\butterance \d+: ['\"]")
"""How the daemon logs spoken text if `spoken_text` is true."""
LEAST_NAME = 2
"""Minimum length of a name to redact; shorter ones would match everywhere."""


@dataclass(frozen=True, slots=True)
class Person:
    """The names to redact."""

    home: Path
    user: str
    real_name: str
    hosts: tuple[str, ...]

    @classmethod
    def here(cls) -> "Person":
        """The user and the host of this process."""
        entry = pwd.getpwuid(os.getuid())
        hosts = {socket.gethostname(), socket.gethostname().partition(".")[0]} - {"", "localhost"}
        return cls(
            home=Path(os.environ.get("HOME") or entry.pw_dir),
            user=entry.pw_name,
            real_name=entry.pw_gecos.partition(",")[0],
            hosts=tuple(sorted(hosts, key=len, reverse=True)),
        )


def redacted(text: str, person: Person) -> str:
    """The text without spoken text, home directories, names, addresses and keys."""
    lines = ["(a line with spoken text)" if _SPOKEN.search(line) else line for line in text.splitlines()]
    text = "\n".join(lines)
    for home in sorted({str(person.home), str(person.home.resolve())}, key=len, reverse=True):
        if home != "/":
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    for host in person.hosts:
        text = _without(text, host, "HOST")
    for name in sorted({person.user, person.real_name, *person.real_name.split()}, key=len, reverse=True):
        if len(name) >= LEAST_NAME:
            text = _without(text, name, "USER")
    return text


def _without(text: str, word: str, instead: str) -> str:
    return re.sub(rf"(?i)(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", instead, text)
