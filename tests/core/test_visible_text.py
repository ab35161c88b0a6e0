"""Names are shown on a terminal without effect on it, and in its width."""

import pytest

from coldvoxd.core.visible_text import columns, shortened, visible


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("talk.ogg", "talk.ogg"),
        ("Gespräch 語 💬.ogg", "Gespräch 語 💬.ogg"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("a\x9b31mb\x7f", "a\\x9b31mb\\x7f"),
        ("a\u202egpj.exe", "a\\u202egpj.exe"),
        (b"a\xff.ogg".decode(errors="surrogateescape"), "a\\xff.ogg"),
        ("הקלטה\u200f.ogg", "הקלטה\u200f.ogg"),
    ],
)
def test_control_characters_are_escaped_and_nothing_else(name: str, shown: str) -> None:
    assert visible(name) == shown


def test_lines_of_a_text_can_be_kept() -> None:
    assert visible("one\n\ttwo\x1b", keep="\n\t") == "one\n\ttwo\\x1b"


@pytest.mark.parametrize(
    ("text", "width", "end"),
    [
        ("talk.ogg", 8, "talk.ogg"),
        ("talk.ogg", 5, "….ogg"),
        ("語語語", 5, "…語語"),
        ("語語語", 4, "…語"),
        ("abc", 0, ""),
    ],
)
def test_a_long_text_keeps_its_end(text: str, width: int, end: str) -> None:
    assert shortened(text, width) == end
    assert columns(end) <= width


def test_combining_characters_take_no_column() -> None:
    assert columns("e\u0301") == 1
