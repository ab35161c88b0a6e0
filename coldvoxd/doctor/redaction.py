"""Removes what identifies a person or a machine from a text."""

import ipaddress
import os
import pwd
import re
import socket
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_PATTERNS = (
    (re.compile(r"(?<=://)[^/\s@]+@"), ""),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "EMAIL"),
    (re.compile(r"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}[:_-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])"), "MAC"),
    (re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"), "IP"),
    (re.compile(r"\b(?:hf_|gh[oprsu]_|github_pat_|glpat-|xox[abprs]-|pypi-)[\w-]{8,}"), "TOKEN"),
    (re.compile(r"\bsk-[\w-]{20,}|\bnpm_\w{20,}|\bAKIA[0-9A-Z]{16}\b"), "TOKEN"),
    (re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]+)+"), "TOKEN"),  # a JSON Web Token
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 TOKEN"),
    (
        re.compile(
            r"(?i)([\w-]*(?:token|passw(?:or)?d|passphrase|secret|authorization|api[_-]?key|credential|signature|cookie)"
            r"[\"']?)(\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s&,;]+)"
        ),
        r"\1\2REDACTED",
    ),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"(?i)\b(?:GPU-|MIG-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "ID"),  # of a GPU or a disk
    (re.compile(r"(?i)\b(serial(?:[ _-]?(?:number|no\.?))?\s*[:=#]\s*)[^\s,;]+"), r"\1REDACTED"),
    (
        re.compile(r"(\balsa_(?:in|out)put\.usb-|/by-id/)[^\s\"']+"),
        r"\1DEVICE",
    ),  # these names include the serial number
)
"""Addresses of people, devices and networks; keys; the IDs of machines, boots and devices, and their serial numbers."""
_MAYBE_IPV6 = re.compile(r"(?<![\w:])[0-9A-Fa-f:]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%[\w.-]+)?")
"""Text with two colons; `ipaddress` decides. A link-local address has the name of a network interface after a `%`."""
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
    """The text without spoken text, home directories, names, addresses and keys. Characters are composed (NFC)."""
    lines = ["(a line with spoken text)" if _SPOKEN.search(line) else line for line in text.splitlines()]
    text = _composed("\n".join(lines))
    for home in sorted({str(person.home), str(person.home.resolve())}, key=len, reverse=True):
        if home != "/":
            text = re.sub(rf"{re.escape(_composed(home))}(?![\w.-])", "~", text)
    text = _MAYBE_IPV6.sub(_without_address, text)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    for host in person.hosts:
        text = _without(text, host, "HOST")
    for name in sorted(set(_names(person)), key=len, reverse=True):
        if len(name) >= LEAST_NAME:
            text = _without(text, name, "USER")
    return text


def _names(person: Person) -> Iterator[str]:
    """The user's names, and each part of those with spaces or hyphens: one of them may be used alone."""
    for name in (person.user, person.real_name):
        yield name
        yield from re.split(r"[\s-]+", name)


def _without(text: str, word: str, instead: str) -> str:
    r"""Replace a word, also as URLs and systemd's unit names have it: `J%C3%BCrgen`, `j\xc3\xbcrgen\x2dpeter`."""
    composed = _composed(word)
    forms = "|".join(re.escape(form) for form in dict.fromkeys((composed, quote(composed), _as_unit_name(composed))))
    return re.sub(rf"(?i)(?:(?<![A-Za-z0-9])|(?<=\\x2d))(?:{forms})(?![A-Za-z0-9])", instead, text)


def _as_unit_name(word: str) -> str:
    """The word as systemd-escape(1) writes it in the name of a unit."""
    return "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in ":_.") else _escaped(letter) for letter in word
    )


def _escaped(letter: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "surrogateescape"))


def _without_address(match: "re.Match[str]") -> str:
    """`IP` and the punctuation after it for an address of the network; other text unchanged."""
    address = match[0].rstrip(".")
    if not address.strip(":"):
        return match[0]
    for end in (len(address), len(address) - 1):  # a colon after an address is punctuation
        try:
            ipaddress.IPv6Address(address[:end])
        except ValueError:
            continue
        return f"IP{match[0][end:]}"
    return match[0]


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)
