"""Which types of a copied content are read, which follow from others, and how they reach the process that holds them."""

import os

import pytest

from coldvoxd.typist.clipboard_content import best, completed, has_one_kind, is_copy, packed, to_read, unpacked
from coldvoxd.typist.errors import TooMuch
from coldvoxd.typist.programs import run

CHROMIUM = ["TIMESTAMP", "TARGETS", "SAVE_TARGETS", "MULTIPLE", "STRING", "UTF8_STRING", "TEXT", "text/html", "text/plain", "chromium/x-source-url"]  # fmt: skip
"""What Chromium offers of a copied paragraph on X11."""
GIMP = ["TARGETS", "MULTIPLE", "TIMESTAMP", "SAVE_TARGETS", "image/bmp", "image/png", "image/tiff", "image/x-xcf"]


def test_of_a_text_one_encoding_is_read_and_everything_else_in_the_order_of_worth() -> None:
    assert to_read(CHROMIUM) == ["text/html", "UTF8_STRING", "chromium/x-source-url"]
    assert to_read(GIMP) == ["image/png", "image/bmp", "image/tiff", "image/x-xcf"]
    assert to_read(["text/plain", "STRING", "COMPOUND_TEXT"]) == ["text/plain", "STRING", "COMPOUND_TEXT"]
    assert to_read(["", "TARGETS"]) == []


def test_requests_and_names_of_the_servers_or_the_owners_objects_are_no_content() -> None:
    offered = ["DELETE", "PIXMAP", "GTK_TEXT_BUFFER_CONTENTS", "INSERT_SELECTION", "LENGTH", "image/png"]
    assert to_read(offered) == ["image/png"]


@pytest.mark.parametrize(
    ("text", "latin1", "string"),
    [
        ("Zoë", True, b"Zo\xeb"),
        ("5 €", True, None),
        ("5 €", False, "5 €".encode()),
        ("Zoë", False, "Zoë".encode()),
    ],
)
def test_other_encodings_follow_from_the_one_that_was_read(text: str, latin1: bool, string: bytes | None) -> None:
    content = completed({"text/html": b"<p>", "UTF8_STRING": text.encode()}, CHROMIUM, latin1=latin1)
    assert content.get("STRING") == string
    expected = dict.fromkeys(["UTF8_STRING", "TEXT", "text/plain"], text.encode()) | {"text/html": b"<p>"}
    assert {kind: part for kind, part in content.items() if kind != "STRING"} == expected
    assert "chromium/x-source-url" not in content


def test_only_content_of_several_kinds_needs_an_owner_of_our_own() -> None:
    text = completed({"UTF8_STRING": b"a"}, ["UTF8_STRING", "STRING", "text/plain"], latin1=True)
    assert has_one_kind(text)
    assert has_one_kind({"image/png": b"a"})
    assert not has_one_kind({**text, "text/html": b"b"})
    assert best({**text, "text/html": b"b"}) == "text/html"


def test_a_copy_that_a_clipboard_manager_makes_of_some_types_is_no_newer_content() -> None:
    saved = [b"<b>a</b>", b"a"]
    assert is_copy({"text/plain;charset=utf-8": b"a"}, saved)
    assert is_copy({"text/html": b"<b>a</b>", "UTF8_STRING": b"a", "text/plain": b"a"}, saved)
    assert not is_copy({"UTF8_STRING": b"b"}, saved)
    assert not is_copy({"text/html": b"<i>a</i>", "UTF8_STRING": b"a"}, saved)
    assert not is_copy({}, saved), "emptied, as password managers do"


def test_content_arrives_at_the_process_that_holds_it_with_each_text_once() -> None:
    text = os.urandom(1 << 20)
    content = {"UTF8_STRING": text, "text/plain": text, "text/html": b"\n{}\n", "x": b""}
    parts = packed(content)
    assert unpacked(b"".join(parts)) == content
    assert sum(map(len, parts)) < len(text) + 1000


async def test_a_program_that_prints_too_much_is_stopped() -> None:
    with pytest.raises(TooMuch, match="more than 1 MB"):
        await run("cat", "/dev/zero", environment=os.environ, limit_bytes=1 << 20)
    assert await run("head", "-c", "9", "/dev/zero", environment=os.environ, limit_bytes=1 << 20) == bytes(9)
