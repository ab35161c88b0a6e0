"""A model between two: the weights of one that learnt on, moved back a part of the way to where it came from.

What was learnt anew stays for the most part, and what was forgotten meanwhile comes back (WiSE-FT, Wortsman et al.
2022).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from mini_parakeet.model import MiniParakeet, ModelSettings
from mini_parakeet.tokenizer import Tokenizer

BY_PIECE = ("decoder.embedding.weight", "decoder.out.2.weight", "decoder.out.2.bias")
"""Parameters with a row for each piece."""

Weights = Mapping[str, torch.Tensor]


def blended(
    origin: Weights, learnt: Weights, encoder_share: float, decoder_share: float, new_pieces: Iterable[int]
) -> dict[str, torch.Tensor]:
    """`learnt` with these shares of `origin` in it.

    CTC's head and the rows of `new_pieces`, which `origin` never knew, stay as they are.
    """
    rows = list(new_pieces)
    mixed: dict[str, torch.Tensor] = {}
    for name, late in learnt.items():
        share = encoder_share if name.startswith("encoder.") else decoder_share if name.startswith("decoder.") else 0.0
        value = share * origin[name].double() + (1 - share) * late.double()
        if name in BY_PIECE:
            value[rows] = late.double()[rows]
        mixed[name] = value.to(late.dtype)
    return mixed


def changed_pieces(source: Path, tokenizer: Tokenizer) -> list[int]:
    """Which pieces mean something else than in the vocabulary of the first model in `source`."""
    lines = (source / "vocab.txt").read_text(encoding="utf-8").splitlines()
    before = [line.rsplit(" ", 1)[0] for line in lines]
    return [index for index, piece in enumerate(tokenizer.pieces()) if piece != before[index]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="the first model's directory")
    parser.add_argument("learnt", help="the stage that is moved back")
    parser.add_argument("out", help="the stage whose checkpoint it becomes")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--encoder", type=float, required=True, help="the first model's share in the encoder")
    parser.add_argument("--decoder", type=float, default=0.0, help="and in the decoder")
    arguments = parser.parse_args()
    origin = torch.load(arguments.work / "adopted.pt", weights_only=True)
    learnt = torch.load(arguments.work / f"{arguments.learnt}.pt", weights_only=True)
    pieces = changed_pieces(arguments.source, Tokenizer(arguments.work / "tokenizer.model"))
    model = MiniParakeet(ModelSettings(**learnt["settings"]))
    model.load_state_dict(blended(origin["model"], learnt["model"], arguments.encoder, arguments.decoder, pieces))
    checkpoint = {"model": model.state_dict(), "settings": model.settings.as_dict(), "steps": 0}
    torch.save(checkpoint, arguments.work / f"{arguments.out}.pt")


if __name__ == "__main__":
    main()
