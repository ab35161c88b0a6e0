"""The texts of --help: they fit the terminal, lose no word, and name what the commands print."""

import argparse
import re
from collections.abc import Iterator

import pytest

from coldvoxd.arguments import command_line as daemon_command_line
from coldvoxd.bus.client_events import EVENTS
from coldvoxd.bus.interface_xml import interface_xml
from coldvoxd.cli import help_texts, manual
from coldvoxd.cli.arguments import command_line
from coldvoxd.cli.exit_codes import MEANINGS
from coldvoxd.core.help_blocks import wrapped
from coldvoxd.typist.arguments import command_line as typing_command_line


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):
                yield from parsers(command)


PARSERS = {parser.prog: parser for parser in [*parsers(command_line()), daemon_command_line(), typing_command_line()]}


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("command", PARSERS)
def test_the_help_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, command: str, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for line in PARSERS[command].format_help().splitlines():
        assert len(line) <= columns or len(line.split()) <= 2, line  # a command's long argument cannot be broken


@pytest.mark.parametrize("command", PARSERS)
def test_no_word_of_a_text_is_lost(command: str) -> None:
    for text in (PARSERS[command].description or "", PARSERS[command].epilog or ""):
        for width in (30, 78, 200):
            assert wrapped(text, width).replace(" \\\n", "\n").split() == text.split()


def test_terms_are_aligned_and_commands_can_be_typed() -> None:
    text = "A long sentence that\nis one paragraph.\n\n  term   what it\n         means\n  other\n  coldvoxctl start --words --partials\n"
    assert wrapped(text, 28) == (
        "A long sentence that is one\nparagraph.\n\n  term   what it means\n  other\n"
        "  coldvoxctl start --words \\\n      --partials"
    )


def test_listen_names_each_event_and_key() -> None:
    names = {name for name, _ in EVENTS.values() if not name.startswith("file-")}
    words = set(re.findall(r"[\w-]+", help_texts.LISTEN_JSON))
    assert names <= words
    (documented,) = re.findall(r"^ *Transcribed:$(.*?)-->", interface_xml(), re.DOTALL | re.MULTILINE)
    details = {
        key
        for keys in re.findall(r"^ *((?:`[\w-]+`,? )+)\([a-z(){}]+\):", documented, re.MULTILINE)
        for key in re.findall(r"[\w-]+", keys)
    }
    assert details >= {
        "start",
        "end",
        "confidence",
        "provider",
        "latency",
        "retried",
        "words",
        "body",
        "pending",
        "seam",
    }
    assert details <= words
    assert {key for name, keys in EVENTS.values() if name in names for key in keys} <= words


@pytest.mark.parametrize("command", PARSERS)
def test_each_command_is_described_by_what_it_does(command: str) -> None:
    """The manual page has no other summary of it."""
    first = (PARSERS[command].description or "").partition(". ")[0].split()
    assert len(first) >= 3
    assert first[0][0].isupper()


def test_the_manual_has_the_sections_of_a_manual_page() -> None:
    pages = {name: page() for name, page in manual.PAGES.items()}
    for name in ("man1/coldvoxctl.1", "man1/coldvoxd.1", "man1/coldvox-type.1"):
        titles = re.findall(r"^\.SH (.*)$", pages[name], re.MULTILINE)
        assert titles[:4] == ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"]
        assert titles[-1] == "SEE ALSO"
        assert "EXIT STATUS" in titles
        assert r"\fB141\fR" in pages[name] or name.endswith("coldvoxd.1")
    page = pages["man1/coldvoxctl.1"]
    assert page.index(".SH EXIT STATUS") < page.index(".SH EXAMPLES") < page.index(".SH SEE ALSO")
    others = {name.split("/")[1].rpartition(".")[0] for name in pages} - {"coldvoxctl"}
    assert others == set(
        re.findall(
            r"[\w.-]+(?=\(\d\))",
            page.partition(".SH SEE ALSO")[2].replace("\\fB", "").replace("\\-", "-").replace("\\fR", ""),
        )
    )
    for meaning in MEANINGS.values():
        assert page.count(f"\n{manual._escaped(meaning)}\n") == 1, "once, and not under a command"


def test_the_manual_has_the_headings_of_options() -> None:
    page = manual.coldvoxctl()
    listen = page.partition(".SS listen\n")[2].partition(".SS ")[0]
    own, heading, of_start = listen.partition("Options for the session that \\-\\-start starts:")
    assert heading
    for option in ("words", "partials", "language"):
        assert f"\\fB\\-\\-{option}\\fR" not in own
        assert f"\\fB\\-\\-{option}\\fR" in of_start
