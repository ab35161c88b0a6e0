"""Generates the manual pages from the parsers of --help and from the settings: `python -m coldvoxd.cli.manual DIR`."""

import argparse
import dataclasses
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from coldvoxd import __version__, settings_file
from coldvoxd.arguments import command_line as daemon_command_line
from coldvoxd.cli.arguments import command_line
from coldvoxd.core.help_blocks import Block, Break, Entry, Paragraph, blocks, wrapped
from coldvoxd.typist.arguments import command_line as typing_command_line
from coldvoxd.typist.settings import Rule

_CODES = "exit codes:"
_EXAMPLES = "examples:"
_CODE = re.compile(r"(coldvox|\[)|.* = ")
"""Lines that must stay as they are."""
_CODE_COLUMNS = 70


def coldvoxctl() -> str:
    """The manual page of coldvoxctl, section 1."""
    parser = command_line()
    lines = [*_head("coldvoxctl", 1, "dictate with coldvoxd, and see what it is doing"), *_command_line(parser)]
    return _page([*lines, *_see_also("coldvoxd(1)", "coldvox-type(1)", "coldvoxd.toml(5)", "type.toml(5)")])


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
    status, notes, examples = _sections(parser.epilog or "")
    yield from (".SH OPTIONS", *options)
    if commands:
        yield ".SH COMMANDS"
    for command in commands:
        yield from _command(command)
    for title, lines in (("EXIT STATUS", status), ("NOTES", notes), ("EXAMPLES", examples)):
        if lines:
            yield from (f".SH {title}", *lines)


def _sections(epilog: str) -> tuple[list[str], list[str], list[str]]:
    """The exit codes, the notes and the examples of the end of a help text, each as lines."""
    status: list[Block] = []
    notes: list[Block] = []
    examples: list[Block] = []
    section = notes
    for block in blocks(epilog):
        match block:
            case Paragraph(text) if text.startswith(_CODES):
                section = status
                codes = re.findall(r"(\d+) (.*?)(?:, (?=\d+ )|$)", text.removeprefix(_CODES))
                status += [Entry(code, meaning, 0) for code, meaning in codes]
            case Paragraph(text) if text == _EXAMPLES:
                section = examples
            case Paragraph():
                section = notes
                notes.append(block)
            case _:
                section.append(block)
    return list(_lines(status)), list(_lines(notes)), list(_lines(examples))


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
    own = parser._action_groups[:2]  # noqa: SLF001 - argparse has no other way to ask; arguments and options
    for group in parser._action_groups:  # noqa: SLF001
        shown: list[str] = []
        for action in group._group_actions:  # noqa: SLF001
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
                commands += dict.fromkeys(action.choices.values())
            elif action.help is not argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):  # noqa: SLF001
                shown += [".TP", _term(action), _text(action.help or "")]
        heading = f"{(group.title or '').capitalize()}:"
        options += shown if group in own or not shown else [".PP", _text(heading), ".RS 2", *shown, ".RE"]
    return options, commands


def _term(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or "|".join(map(str, action.choices or ())) or action.dest)
    names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in action.option_strings)
    return " ".join(filter(None, (names, value and f"\\fI{_escaped(value)}\\fR")))


def _prose(text: str) -> Iterator[str]:
    return _lines(list(blocks(text)))


def _lines(found: Sequence[Block]) -> Iterator[str]:
    """Paragraphs as paragraphs, terms as terms, and commands and settings unchanged."""
    is_literal = False
    for number, block in enumerate(found):
        is_code = isinstance(block, Entry) and not block.text and _CODE.match(block.term) is not None
        if is_literal and not is_code and not isinstance(block, Break):
            yield from (".fi", ".RE")
            is_literal = False
        match block:
            case Paragraph(text):
                yield from (() if number == 0 else (".PP",))
                yield _text(text)
            case Entry(term, text) if is_code:
                yield from (() if is_literal else (".PP", ".RS 4", ".nf"))
                is_literal = True
                yield from map(_text, wrapped(f"  {term}", _CODE_COLUMNS).removeprefix("  ").splitlines())
            case Entry(term, text):
                name = f"\\fB{_escaped(term)}\\fR" if text or " " not in term else _text(term)
                yield from (".TP", name, _text(text) or "\\&")
            case Break():
                yield from ((".sp",) if is_literal and number + 1 < len(found) else ())
    if is_literal:
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
