"""Changes one value in the text of a settings file, and keeps everything else: comments, order and spacing."""

import re

from coldvoxd.core.text_formats import NotToml, toml_tables

_HEADER = re.compile(r"\s*\[\s*([\w-]+)\s*\]\s*(#.*)?$")
_ANY_HEADER = re.compile(r"\s*\[")
_VALUE = re.compile(r"""("(?:[^"\\]|\\.)*"|'[^']*'|[^\s#"'][^#]*?)(?=\s*(?:#.*)?$)""")
"""A value that ends on its line; a comment may follow."""


class NotEditable(ValueError):
    """The file has a form that is not edited here, such as an inline table or a value of several lines."""


def with_value(text: str, section: str, key: str, value: str) -> str:
    """Return the text of a settings file with a value, in TOML's form, at `key` under `section`.

    The text must be valid TOML. A setting that is not there is inserted after its commented default or at the end of
    its section. Raises NotEditable.
    """
    lines = text.splitlines(keepends=True)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += ending
    if not _replace(lines, section, key, value):
        _insert(lines, section, key, value, ending)
    changed = "".join(lines)
    if not _differs_only_there(text, changed, section, key, value):
        raise NotEditable
    return changed


def _replace(lines: list[str], section: str, key: str, value: str) -> bool:
    current = ""
    for number, line in enumerate(lines):
        if _ANY_HEADER.match(line):
            current = _section_of(line)
            continue
        name = f"{re.escape(section)}\\s*\\.\\s*{re.escape(key)}" if not current else re.escape(key)
        if current not in {"", section} or not (head := re.match(rf"\s*\"?{name}\"?\s*=\s*", line)):
            continue
        body = line.rstrip("\r\n")
        if (found := _VALUE.match(body, head.end())) is None:
            raise NotEditable
        lines[number] = body[: head.end()] + value + body[found.end() :] + line[len(body) :]
        return True
    return False


def _insert(lines: list[str], section: str, key: str, value: str, ending: str) -> None:
    """Insert a setting that the file does not have."""
    default = re.compile(rf"\s*#\s*{re.escape(key)}\s*=")
    current, place, dotted = "", None, None
    for number, line in enumerate(lines):
        if _ANY_HEADER.match(line):
            current = _section_of(line)
            place = number + 1 if current == section else place
        elif current == section and default.match(line):
            place = number + 1
            break
        elif current == section and line.strip() and not line.lstrip().startswith("#"):
            place = number + 1
        elif not current and re.match(rf"\s*{re.escape(section)}\s*\.", line):
            dotted = number + 1
    if place is not None:
        lines.insert(place, f"{key} = {value}{ending}")
    elif dotted is not None:
        lines.insert(dotted, f"{section}.{key} = {value}{ending}")
    else:
        separator = [ending] if lines and lines[-1].strip() else []
        lines += [*separator, f"[{section}]{ending}", f"{key} = {value}{ending}"]


def _section_of(line: str) -> str:
    found = _HEADER.match(line.rstrip("\r\n"))
    return found[1] if found else line.strip()


def _differs_only_there(before: str, after: str, section: str, key: str, value: str) -> bool:
    try:
        wanted, found = toml_tables(before), toml_tables(after)
        wanted.setdefault(section, {})[key] = toml_tables(f"value = {value}")["value"]
    except (NotToml, AttributeError, TypeError):
        return False
    return found == wanted
