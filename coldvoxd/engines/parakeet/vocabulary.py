"""The vocabulary of a Parakeet model, and how its pieces become text and words."""

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.values import Token, Word

BLANK = "<blk>"
WORD_START = "\u2581"
"""SentencePiece's mark for the space before a word."""

_CONTROL = re.compile(r"<\|.*\|>|</?[a-z]+>")
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_LANGUAGE = re.compile(r"<\|([a-z]{2})\|>")
"""Other control pieces, such as `<|pnc|>`, `<|itn|>` or `<|0|>`, have more letters or none."""
# Spaces before a word are kept, except the first of the text.
_DROPPED_SPACE = re.compile(r"\A\s|\s(?!\w)")


@dataclass(frozen=True)
class Vocabulary:
    """Pieces by id; the last one is blank."""

    pieces: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """From `vocab.txt` or `tokens.txt`: `piece id` on each line, in order, `<blk>` last.

        Or a piece on each line and no ids, as some exports of Parakeet Unified have it: then `<blk>` may be missing, and is
        the last one. Raises ModelInvalid, which names the wrong line.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelInvalid(f"{path} cannot be read ({error}): download the model again") from error
        lines = text.removesuffix("\n").split("\n")
        if len(lines) > 1 and all(lines) and not any(" " in line for line in lines):
            return cls(_with_blank_last(path, lines if BLANK in lines else [*lines, BLANK]))
        pieces: list[str] = []
        for number, line in enumerate(lines, start=1):
            piece, _, index = line.rpartition(" ")
            if not piece or index != str(len(pieces)):
                raise ModelInvalid(
                    f"{path} line {number}: expected a piece and the id {len(pieces)}; download the model again"
                )
            pieces.append(piece)
        return cls(_with_blank_last(path, pieces))

    def __len__(self) -> int:
        return len(self.pieces)

    @cached_property
    def fingerprint(self) -> str:
        """Identifies these pieces and their order."""
        return hashlib.sha256("\n".join(self.pieces).encode()).hexdigest()[:16]

    @property
    def blank(self) -> int:
        """Id of the blank piece, which has no text; also the start of an utterance."""
        return len(self.pieces) - 1

    @cached_property
    def language_tokens(self) -> dict[str, int]:
        """Ids of the languages' tokens, such as `<|de|>`, by code; empty if the model recognizes a single language."""
        matches = ((_LANGUAGE.fullmatch(piece), token) for token, piece in enumerate(self.pieces))
        return {match[1]: token for match, token in matches if match}

    def shown(self, token: int) -> str:
        """The piece as text; empty for control pieces such as `<|startoftranscript|>`."""
        piece = self.pieces[token]
        return "" if _CONTROL.fullmatch(piece) else piece.replace(WORD_START, " ")

    def letters(self, token: int) -> str:
        """The piece as far as its script can be seen: empty for blank, control pieces and single bytes such as `<0xC3>`."""
        return "" if token == self.blank or _BYTE.fullmatch(self.pieces[token]) else self.shown(token)

    def text(self, tokens: Iterable[Token]) -> str:
        return _DROPPED_SPACE.sub("", "".join(self.shown(token.id) for token in tokens))

    def words(
        self, tokens: Sequence[Token], seconds_per_frame: float, duration_s: float = math.inf
    ) -> tuple[Word, ...]:
        """The words of `text(tokens)` with their times, none later than `duration_s`.

        A word lasts from its first token to the end of its last; punctuation belongs to the word that it follows or precedes.
        """
        pieces = [self.shown(token.id) for token in tokens]
        joined = "".join(pieces)
        owners = [token for token, piece in zip(tokens, pieces, strict=True) for _ in piece]
        dropped = {match.start() for match in _DROPPED_SPACE.finditer(joined)}
        words: list[Word] = []
        letters: list[str] = []
        spoken: list[Token] = []

        def close() -> None:
            if letters:
                words.append(_word("".join(letters), spoken, seconds_per_frame, duration_s))
            letters.clear()
            spoken.clear()

        for position, (letter, owner) in enumerate(zip(joined, owners, strict=True)):
            if letter.isspace() and position not in dropped:
                close()
            elif position not in dropped:
                letters.append(letter)
            if not spoken or spoken[-1] is not owner:
                spoken.append(owner)
        close()
        return tuple(words)


def _with_blank_last(path: Path, pieces: list[str]) -> tuple[str, ...]:
    """The pieces. Raises ModelInvalid if the last one is not blank."""
    if pieces[-1] != BLANK:
        raise ModelInvalid(f"{path} does not end with {BLANK}: it is truncated, or belongs to another kind of model")
    return tuple(pieces)


def confidence(tokens: Sequence[Token]) -> float:
    """Geometric mean of the tokens' probabilities; 0 where there are none."""
    if not tokens:
        return 0.0
    return math.exp(sum(token.logprob for token in tokens) / len(tokens))


def _word(text: str, tokens: Sequence[Token], seconds_per_frame: float, duration_s: float) -> Word:
    start_s = tokens[0].encoder_frame * seconds_per_frame
    end_s = max(token.encoder_frame + token.duration_frames for token in tokens) * seconds_per_frame
    return Word(text, min(start_s, duration_s), min(end_s, duration_s), confidence(tokens))
