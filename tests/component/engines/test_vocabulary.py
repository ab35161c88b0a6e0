"""Vocabularies in the two published formats, and the text of their pieces."""

import math
import re
from pathlib import Path

import pytest

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.values import Token
from coldvoxd.engines.parakeet.vocabulary import Vocabulary, confidence

V2 = ("<unk>", "▁t", "▁th", "a", "▁Hello", ",", "▁", "world", ".", "'", "s", "▁5", "0", "%", "<blk>")
V3 = ("<unk>", "<|nospeech|>", "<pad>", "<|endoftext|>", "<|startoftranscript|>", "<|pnc|>", "▁na", "ï", "ve", "<blk>")


def write(directory: Path, pieces: tuple[str, ...]) -> Path:
    path = directory / "vocab.txt"
    path.write_text("".join(f"{piece} {index}\n" for index, piece in enumerate(pieces)), encoding="utf-8")
    return path


def said(vocabulary: Vocabulary, *pieces: str, probability: float = 0.5) -> tuple[Token, ...]:
    """Return consecutive tokens, at every second frame, two frames long."""
    return tuple(
        Token(vocabulary.pieces.index(piece), 2 * index, 2, math.log(probability)) for index, piece in enumerate(pieces)
    )


@pytest.fixture
def v2(tmp_path: Path) -> Vocabulary:
    return Vocabulary.read(write(tmp_path, V2))


@pytest.fixture
def v3(tmp_path: Path) -> Vocabulary:
    return Vocabulary.read(write(tmp_path, V3))


def test_blank_is_the_last_line(v2: Vocabulary, v3: Vocabulary) -> None:
    assert (v2.blank, len(v2)) == (14, 15)
    assert (v3.blank, len(v3)) == (9, 10)


def test_pieces_become_text_without_the_leading_space(v2: Vocabulary) -> None:
    assert v2.text(said(v2, "▁Hello", ",", "▁", "world", ".")) == "Hello, world."


def test_a_space_stays_only_where_a_word_follows(v2: Vocabulary) -> None:
    assert v2.text(said(v2, "▁Hello", "▁", ",", "▁", "world", "▁", ".", "▁")) == "Hello, world."


def test_digits_and_letters_beyond_ascii_are_words(v2: Vocabulary, v3: Vocabulary) -> None:
    assert v2.text(said(v2, "▁Hello", "▁5", "0", "%")) == "Hello 50%"
    assert v3.text(said(v3, "▁na", "ï", "ve")) == "naïve"


def test_control_pieces_are_never_shown(v3: Vocabulary) -> None:
    tokens = said(v3, "<|startoftranscript|>", "<|pnc|>", "▁na", "ï", "ve", "<|endoftext|>", "<unk>", "<pad>")
    assert v3.text(tokens) == "naïve"
    assert [word.text for word in v3.words(tokens, 0.08)] == ["naïve"]


def test_words_reach_from_their_first_token_to_the_end_of_their_last(v2: Vocabulary) -> None:
    words = v2.words(said(v2, "▁Hello", "▁th", "a", "▁5"), 0.08)
    assert [word.text for word in words] == ["Hello", "tha", "5"]
    assert [word.start_s for word in words] == pytest.approx([0.0, 0.16, 0.48])
    assert [word.end_s for word in words] == pytest.approx([0.16, 0.48, 0.64])


def test_punctuation_belongs_to_the_word_that_it_stands_at(v2: Vocabulary) -> None:
    words = v2.words(said(v2, "▁Hello", ",", "▁", "world", "'", "s", "▁", "."), 0.08)
    assert [word.text for word in words] == ["Hello,", "world's."]
    assert words[0].end_s == pytest.approx(0.32)


def test_a_space_of_its_own_belongs_to_the_word_after_it(v2: Vocabulary) -> None:
    _, world = v2.words(said(v2, "▁Hello", "▁", "world"), 0.08)
    assert world.start_s == pytest.approx(0.16)


@pytest.mark.parametrize(
    "pieces",
    [(), ("▁",), (".",), ("▁", "▁", "world"), ("▁Hello", "▁", "▁", "world"), ("▁Hello", "▁", "%", "▁", "world", "▁")],
)
def test_the_words_are_the_text(v2: Vocabulary, pieces: tuple[str, ...]) -> None:
    tokens = said(v2, *pieces)
    assert [word.text for word in v2.words(tokens, 0.08)] == v2.text(tokens).split()


def test_no_word_ends_after_the_audio(v2: Vocabulary) -> None:
    (word,) = v2.words(said(v2, "▁Hello"), 0.08, duration_s=0.1)
    assert word.end_s == 0.1


def test_a_words_confidence_is_the_geometric_mean_of_its_tokens(v2: Vocabulary) -> None:
    tokens = (Token(4, 0, 1, math.log(0.9)), Token(5, 1, 1, math.log(0.4)))
    assert v2.words(tokens, 0.08)[0].confidence == pytest.approx(0.6)
    assert confidence(tokens) == pytest.approx(0.6)
    assert confidence(()) == 0.0


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "line 1"),
        ("a 0\nb 1\n", "does not end with <blk>"),
        ("a 0\nb 2\n<blk> 3\n", "line 2: expected a piece and the id 1"),
        ("a 0\nb\n<blk> 2\n", "line 2"),
        ("a zero\n", "line 1"),
    ],
)
def test_a_damaged_vocabulary_is_named_with_its_line(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelInvalid, match=f"{re.escape(str(path))}.*{re.escape(complaint)}"):
        Vocabulary.read(path)


def test_a_vocabulary_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelInvalid, match=re.escape(str(path))):
        Vocabulary.read(path)


@pytest.mark.parametrize("blank", [True, False], ids=["with blank", "without blank"])
def test_pieces_without_ids_are_in_their_order_and_blank_is_last(tmp_path: Path, blank: bool) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in (V2 if blank else V2[:-1])), encoding="utf-8")
    assert Vocabulary.read(path).pieces == V2


def test_pieces_without_ids_after_blank_belong_to_another_model(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_text("<blk>\na\nb\n", encoding="utf-8")
    with pytest.raises(ModelInvalid, match="does not end with <blk>"):
        Vocabulary.read(path)
