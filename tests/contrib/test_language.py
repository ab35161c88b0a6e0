"""The language check finds the words on its list in every kind of file, and the tree has none of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from contrib.dev.language import NOT_YET, ROOT, findings, is_one_of, tracked

CHECK = ROOT / "contrib/dev/language.py"
BAD = (
    "the client is told of the failure",
    "tells the state",
    "recognized in vain",
    "opened anew",
    "a session ends after so long",
    "recognition goes on on the CPU",
    "the attempt came to nothing",
    "whoever called",
    "nobody dictates",
    "the card's memory",
    "a graphics card",
    "texts that are owed",
    "the warnings are hushed",
    "the GPU is let go of",
    "the session is thrown away",
    "throw the session away",
    "how to mend it",
    "it stops all the same",
    "a fault of the daemon's own",
    "the CPU stands by",
    "one JSON object a line",
    "it is tried again and again",
)
GOOD = (
    "the failure is reported to the client, which continues",
    "a sound card, a discarded session, a mandate and a recommendation",
    "a session that lasts as long as the daemon",
    "recognition continues on the CPU after 5 s",
)


def checked(*files: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, CHECK, *files], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("line", BAD)
def test_a_bad_line_is_found(tmp_path: Path, line: str) -> None:
    file = tmp_path / "help.sh"
    file.write_text(f"#!/bin/bash\necho '{line}'\n")
    (finding,) = findings(file)
    assert (finding.line, bool(finding.instead)) == (2, True)


@pytest.mark.parametrize("line", GOOD)
def test_a_good_line_passes(tmp_path: Path, line: str) -> None:
    file = tmp_path / "help.sh"
    file.write_text(f"echo '{line}'\n")
    assert list(findings(file)) == []


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.py", '"""Nobody."""\nX = f"{1} in\\nvain"\n# owed,\n# in\n# vain\n', [1, 2, 3, 4]),
        ("a.js", "// nobody\nconst x = 'in vain';\n", [1, 2]),
        ("a.xml", "<!-- a call\n  in\n  vain -->\n", [2]),
        ("a.service", "# in\n# vain\n", [1]),
    ],
)
def test_findings_have_the_line_of_their_beginning(tmp_path: Path, name: str, text: str, lines: list[int]) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert sorted(finding.line for finding in findings(file)) == lines


def test_the_command_names_the_place_and_what_to_write_instead(tmp_path: Path) -> None:
    file = tmp_path / "a.sh"
    file.write_text("# works\n# in vain\n")
    done = checked(file)
    assert (done.returncode, done.stdout) == (1, f"{file}:2: 'in vain': write discarded, without effect\n")


def test_the_tree_passes() -> None:
    done = checked()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("pattern", NOT_YET)
def test_each_exception_still_stands_for_a_file(pattern: str) -> None:
    assert any(is_one_of(path, (pattern,)) for path in tracked())
