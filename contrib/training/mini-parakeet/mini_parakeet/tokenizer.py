"""The BPE pieces between text and token ids."""

from __future__ import annotations

import json
import random
from itertools import islice
from pathlib import Path

import sentencepiece

from mini_parakeet.grammar import training_prompts

PIECES = 448
WORD_MARK = "\u2581"


class Tokenizer:
    """Token ids 0 .. size - 1; the blank is `size`.

    `model` is a sentencepiece model, or JSON with all pieces and a table of words (see `adopt`).
    """

    def __init__(self, model: Path) -> None:
        self.path = model
        self._words: dict[str, list[int]] = {}
        content = model.read_bytes()
        if content.startswith(b"{"):
            stored = json.loads(content)
            self._words, self._pieces = stored["words"], stored["pieces"]
        else:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=content)
            self._pieces = [self._processor.id_to_piece(index) for index in range(self._processor.get_piece_size())]
        self.size = len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Raises KeyError where a table doesn't hold a word; a mark after a word that it holds is another piece."""
        if self._words:
            return [token for word in text.split() for token in self._encode_word(word)]
        return list(self._processor.encode(text))

    def _encode_word(self, word: str) -> list[int]:
        if word not in self._words and word[-1] in ".,?":
            return [*self._words[word[:-1]], self._pieces.index(word[-1])]
        return self._words[word]

    def decode(self, ids: list[int]) -> str:
        return "".join(self._pieces[token] for token in ids).replace(WORD_MARK, " ").strip()

    def pieces(self) -> list[str]:
        return list(self._pieces)

    def letters(self, token: int) -> int:
        """How many letters a token stands for: its share of an utterance before anything is learnt."""
        return sum(char.isalpha() for char in self._pieces[token])

    def vocabulary_file(self) -> str:
        """vocab.txt as Parakeet has it: `piece id` a line, the blank last."""
        return "".join(f"{piece} {index}\n" for index, piece in enumerate([*self._pieces, "<blk>"]))


def train_tokenizer(model: Path) -> Tokenizer:
    """Train the pieces on 30,000 prompts, unless `model` is there."""
    if not model.exists():
        texts = [prompt.text for prompt in islice(training_prompts(random.Random("tokenizer")), 30_000)]
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_prefix=str(model.with_suffix("")),
            vocab_size=PIECES,
            model_type="bpe",
            character_coverage=1.0,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            hard_vocab_limit=False,
            minloglevel=2,
        )
    return Tokenizer(model)
