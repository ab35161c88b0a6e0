"""Generates the manual pages from the parsers of --help and from the settings: `python -m coldvoxd.cli.manual DIR`."""

import argparse
import dataclasses
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from coldvoxd import __version__, settings_file
from coldvoxd.arguments import command_line as daemon_command_line
from coldvoxd.cli.arguments import command_line
from coldvoxd.typist.arguments import command_line as typing_command_line
from coldvoxd.typist.settings import Rule

_WIDTH = re.compile(r"^ {2,}\S")


def coldvoxctl() -> str:
    """The manual page of coldvoxctl, section 1."""
    parser = command_line()
    lines = [*_head("coldvoxctl", 1, "dictate with coldvoxd, and see what it is doing"), *_command_line(parser)]
    return _page([*lines, *_see_also("coldvoxd(1)", "coldvoxd.toml(5)")])


def coldvoxd() -> str:
    """The manual page of coldvoxd, section 1."""
    lines = [*_head("coldvoxd", 1, "dictation daemon on the session bus"), *_command_line(daemon_command_line())]
    return _page([*lines, *_see_also("coldvoxctl(1)", "coldvoxd.toml(5)", "systemctl(1)", "busctl(1)")])


def coldvoxd_toml() -> str:
    """The manual page of the settings file, section 5."""
    lines = _head("coldvoxd.toml", 5, "settings of coldvoxd")
    lines += [".SH SYNOPSIS", _text("~/.config/coldvoxd/coldvoxd.toml"), ".SH DESCRIPTION"]
    lines += _prose(
        "A TOML file. It is optional. `coldvoxctl config example` prints one with every key, `coldvoxctl config check` "
        "reports the line of an error, and `coldvoxctl config show` prints the settings in force.\n\n"
        "Environment variables override the file; each is listed below."
    )
    section = ""
    for doc in settings_file.describe():
        if doc.section != section:
            section = doc.section
            lines.append(f".SH [{section}]")
        limits = f" ({doc.limits})" if doc.limits else ""
        lines += [".TP", f"\\fB{_escaped(doc.key)}\\fR = {_escaped(settings_file.toml_value(doc.default))}"]
        lines += [_text(f"{doc.text}{limits}"), ".br", _text(f"Environment: {doc.variable}")]
    return _page([*lines, *_see_also("coldvoxd(1)", "coldvoxctl(1)")])


def coldvox_type() -> str:
    """The manual page of coldvox-type, section 1."""
    lines = [*_head("coldvox-type", 1, "type dictated text into the focused window")]
    lines += _command_line(typing_command_line())
    return _page([*lines, *_see_also("type.toml(5)", "coldvoxctl(1)", "coldvoxd(1)")])


def type_toml() -> str:
    """The manual page of the typing client's settings, section 5."""
    lines = _head("type.toml", 5, "settings of coldvox-type")
    lines += [".SH SYNOPSIS", _text("~/.config/coldvoxd/type.toml"), ".SH DESCRIPTION"]
    lines += _prose(
        "A TOML file. It is optional, and is read again for each text. The keys below apply to all applications. Under "
        "[applications.NAME] they apply to one, by its WM_CLASS on X11 or its app_id on Wayland:\n\n"
        '  delay_ms = 5\n\n  [applications.firefox]\n  method = "paste"\n\n'
        "Rules for terminals are built in."
    )
    texts = settings_file.docstrings(Rule)
    lines.append(".SH KEYS")
    for field in dataclasses.fields(Rule):
        value = settings_file.toml_value(field.default)
        lines += [".TP", f"\\fB{_escaped(field.name)}\\fR = {_escaped(value)}", _text(texts[field.name])]
    return _page([*lines, *_see_also("coldvox-type(1)")])


PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "man1/coldvoxctl.1": coldvoxctl,
        "man1/coldvoxd.1": coldvoxd,
        "man1/coldvox-type.1": coldvox_type,
        "man5/coldvoxd.toml.5": coldvoxd_toml,
        "man5/type.toml.5": type_toml,
    }
)
"""The pages by their paths below a man directory."""


def write(directory: Path) -> list[Path]:
    """Write all pages below a man directory, such as `~/.local/share/man`; return their paths."""
    written = []
    for name, page in PAGES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page(), "utf-8")
        written.append(path)
    return written


def _page(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _head(name: str, section: int, summary: str) -> list[str]:
    title = f'.TH "{name.upper()}" "{section}" "" "coldvoxd {__version__}" "coldvoxd"'
    return [title, ".SH NAME", _escaped(f"{name} ") + "\\- " + _escaped(summary)]


def _see_also(*pages: str) -> list[str]:
    return [".SH SEE ALSO", ", ".join(f"\\fB{_escaped(page)}\\fR" for page in pages)]


def _command_line(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield from (".SH SYNOPSIS", *_synopsis(parser))
    yield from (".SH DESCRIPTION", *_prose(parser.description or ""))
    options, commands = _sorted(parser)
    yield from (".SH OPTIONS", *options)
    if commands:
        yield ".SH COMMANDS"
    for command in commands:
        yield from _command(command)
    if parser.epilog:
        yield from (".SH NOTES", *_prose(parser.epilog))


def _command(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f".SS {_escaped(parser.prog.partition(' ')[2])}"
    yield from _synopsis(parser)
    if parser.description:
        yield from (".PP", *_prose(parser.description))
    options, commands = _sorted(parser)
    yield from options
    if parser.epilog:
        yield from (".PP", *_prose(parser.epilog))
    for command in commands:
        yield from _command(command)


def _synopsis(parser: argparse.ArgumentParser) -> list[str]:
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    return [f"\\fB{_escaped(parser.prog)}\\fR{_escaped(usage.removeprefix(parser.prog))}"]


def _sorted(parser: argparse.ArgumentParser) -> tuple[list[str], list[argparse.ArgumentParser]]:
    """The options as a list of terms, and the commands below this parser."""
    options: list[str] = []
    commands: list[argparse.ArgumentParser] = []
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            commands += dict.fromkeys(action.choices.values())
        elif action.help is not argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):  # noqa: SLF001
            options += [".TP", _term(action), _text(action.help or "")]
    return options, commands


def _term(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or "|".join(map(str, action.choices or ())) or action.dest)
    names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in action.option_strings)
    return " ".join(filter(None, (names, value and f"\\fI{_escaped(value)}\\fR")))


def _prose(text: str) -> Iterator[str]:
    """Paragraphs as paragraphs, indented lines unchanged."""
    literal = False
    for line in text.strip("\n").splitlines():
        if bool(_WIDTH.match(line)) is not literal and line.strip():
            literal = not literal
            yield from ((".RS 4", ".nf") if literal else (".fi", ".RE"))
        yield _text(line) if line.strip() else (".PP" if not literal else ".sp")
    if literal:
        yield from (".fi", ".RE")


def _text(line: str) -> str:
    """A line of running text, with `code` in bold."""
    return re.sub(r"`([^`]+)`", r"\\fB\1\\fR", _escaped(line))


def _escaped(text: str) -> str:
    """Text escaped for roff: backslashes, hyphens, and lines that look like requests."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    for page in write(Path(sys.argv[1])):
        print(page)
