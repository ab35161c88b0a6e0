"""The first small Parakeet's weights, read from its ONNX files, as a checkpoint to go on from."""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import sentencepiece
import torch
from onnx import numpy_helper
from sentencepiece import sentencepiece_model_pb2
from torch import nn

from mini_parakeet.corpus import Corpus
from mini_parakeet.dataset import Item, collate
from mini_parakeet.features import log_mel
from mini_parakeet.grammar import sentence, training_prompts
from mini_parakeet.model import LSTM_LAYERS, MiniParakeet, ModelSettings
from mini_parakeet.tdt_loss import DURATIONS
from mini_parakeet.tokenizer import WORD_MARK, Tokenizer, train_tokenizer

RENAMED = {
    "sub.c0": "subsampling.first",
    "sub.dw": "subsampling.depthwise",
    "sub.pw": "subsampling.pointwise",
    "sub.out": "subsampling.out",
    "ls.": "layers.",
    ".n1.": ".norms.0.",
    ".n2.": ".norms.1.",
    ".n3.": ".norms.2.",
    ".n4.": ".norms.3.",
    ".n5.": ".norms.4.",
    ".at.u": ".attention.content_bias",
    ".at.w": ".attention.position_bias",
    ".cv.p1": ".convolution.gate",
    ".cv.p2": ".convolution.out",
    "emb.weight": "embedding.weight",
    "enc.bias": "from_encoder.bias",
    "pred.bias": "from_prediction.bias",
}
"""The first scripts' parameter names and today's."""

Weights = dict[str, np.ndarray[Any, Any]]


def stored_weights(path: Path) -> tuple[Weights, list[np.ndarray[Any, Any]]]:
    """All initializers by name, and those that multiply, transposed back, in the order of the graph."""
    graph = onnx.load(path).graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    products = [
        weights[name].T for node in graph.node if node.op_type == "MatMul" for name in node.input if name in weights
    ]
    return weights, products


def product_names(layers: int) -> Iterator[str]:
    """The matrices without a name of their own, in the order of the graph."""
    yield "subsampling.out.weight"
    for layer in range(layers):
        attention = [f"attention.{part}" for part in ("query", "key", "value", "position", "out")]
        for part in ("before.0", "before.3", *attention, "after.0", "after.3"):
            yield f"layers.{layer}.{part}.weight"


def layers_in(path: Path) -> int:
    """How many layers an exported encoder has."""
    _, products = stored_weights(path)
    return (len(products) - len(list(product_names(0)))) // (len(list(product_names(1))) - len(list(product_names(0))))


def adopt_encoder(model: MiniParakeet, path: Path) -> None:
    """Batch norms were folded into the convolutions before them: they become plain offsets."""
    weights, products = stored_weights(path)
    state = dict(model.encoder.state_dict())
    for name, array in weights.items():
        if not name.startswith("onnx::"):
            for old, new in RENAMED.items():
                name = name.replace(old, new)
            if name not in state or state[name].shape != array.shape:
                raise ValueError(f"{path.name}: {name} has no place in this model")
            state[name] = torch.from_numpy(array.copy())
    for name, product in zip(product_names(model.settings.layers), products, strict=True):
        state[name] = torch.from_numpy(product.copy())
    folded = [array for name, array in weights.items() if name.startswith("onnx::Conv")]
    for layer in range(model.settings.layers):
        part = f"layers.{layer}.convolution"
        state[f"{part}.depthwise.weight"] = torch.from_numpy(folded[2 * layer].copy())
        state[f"{part}.norm.bias"] = torch.from_numpy(folded[2 * layer + 1].copy())
        state[f"{part}.norm.running_mean"] = torch.zeros(model.settings.width)
        state[f"{part}.norm.running_var"] = torch.ones(model.settings.width)
        state[f"{part}.norm.weight"] = torch.full((model.settings.width,), (1 + 1e-5) ** 0.5)
    model.encoder.load_state_dict(state)


@torch.no_grad()
def measure_batch_norms(model: MiniParakeet, items: list[Item], tokenizer: Tokenizer) -> None:
    """Give each batch norm the statistics of `items`, and scale and offset so that its output stays the same."""
    norms = [layer.convolution.norm for layer in model.encoder.layers]
    seen: dict[int, list[torch.Tensor]] = {index: [] for index in range(len(norms))}
    hooks = [
        norm.register_forward_pre_hook(lambda _, inputs, index=index: seen[index].append(inputs[0]))
        for index, norm in enumerate(norms)
    ]
    model.eval()
    batch = collate(items, tokenizer)
    model.encoder(batch.features, batch.frames)
    for hook in hooks:
        hook.remove()
    for index, norm in enumerate(norms):
        values = seen[index][0].transpose(1, 2).flatten(0, 1)
        mean, variance = values.mean(0), values.var(0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)


def torch_gates(stacked: np.ndarray[Any, Any]) -> torch.Tensor:
    """ONNX orders an LSTM's gates input, output, forget, cell; PyTorch input, forget, cell, output."""
    entry, out, forget, cell = np.split(stacked, 4)
    return torch.from_numpy(np.concatenate([entry, forget, cell, out]).copy())


@torch.no_grad()
def adopt_decoder(model: MiniParakeet, path: Path, old_pieces: list[str], pieces: list[str]) -> int:
    """Take over what the new pieces share with the old; returns how many do. New ones begin as likely as an average."""
    weights, (from_encoder, from_prediction, head) = stored_weights(path)
    weights = {RENAMED.get(name, name): array for name, array in weights.items()}
    decoder = model.decoder
    decoder.from_encoder.weight.copy_(torch.from_numpy(from_encoder.copy()))
    decoder.from_prediction.weight.copy_(torch.from_numpy(from_prediction.copy()))
    decoder.from_encoder.bias.copy_(torch.from_numpy(weights["from_encoder.bias"].copy()))
    decoder.from_prediction.bias.copy_(torch.from_numpy(weights["from_prediction.bias"].copy()))
    recurrent = [array[0] for name, array in weights.items() if name.startswith("onnx::LSTM")]
    for layer in range(LSTM_LAYERS):
        inner, hidden, bias = recurrent[3 * layer : 3 * layer + 3]
        getattr(decoder.lstm, f"weight_ih_l{layer}").copy_(torch_gates(inner))
        getattr(decoder.lstm, f"weight_hh_l{layer}").copy_(torch_gates(hidden))
        getattr(decoder.lstm, f"bias_ih_l{layer}").copy_(torch_gates(bias[: len(bias) // 2]))
        getattr(decoder.lstm, f"bias_hh_l{layer}").copy_(torch_gates(bias[len(bias) // 2 :]))
    out = decoder.out[2]
    if not isinstance(out, nn.Linear):
        raise TypeError("the joint ends in a linear layer")
    old_head, old_bias = torch.from_numpy(head.copy()), torch.from_numpy(weights["out.2.bias"].copy())
    old_embedding = torch.from_numpy(weights["embedding.weight"].copy())
    places = {piece: index for index, piece in enumerate(old_pieces)}
    durations = len(DURATIONS)
    out.weight[-durations:], out.bias[-durations:] = old_head[-durations:], old_bias[-durations:]
    out.weight[:-durations] = old_head[: len(old_pieces) - 1].mean(0)
    out.bias[:-durations] = old_bias[: len(old_pieces) - 1].mean() - 2
    shared = 0
    for index, piece in enumerate([*pieces, "<blk>"]):
        if piece in places:
            old = places[piece]
            out.weight[index], out.bias[index] = old_head[old], old_bias[old]
            decoder.embedding.weight[index] = old_embedding[old]
            shared += 1
    return shared


def adopt(source: Path, tokenizer: Tokenizer, corpora: Path) -> MiniParakeet:
    """A model that begins where the one in `source` ended."""
    lines = (source / "vocab.txt").read_text(encoding="utf-8").splitlines()
    old_pieces = [line.rsplit(" ", 1)[0] for line in lines]
    torch.manual_seed(0)
    encoder = source / "encoder-model.onnx"
    model = MiniParakeet(ModelSettings(tokenizer.size, layers=layers_in(encoder)))
    adopt_encoder(model, encoder)
    shared = adopt_decoder(model, source / "decoder_joint-model.onnx", old_pieces, tokenizer.pieces())
    print(f"{shared} of {tokenizer.size + 1} pieces are shared")
    corpus = Corpus(corpora / "train-flite")
    clips = [corpus[index] for index in range(0, len(corpus), len(corpus) // 48)]
    measure_batch_norms(model, [Item(log_mel(clip.samples), []) for clip in clips], tokenizer)
    return model


def adopted_tokenizer(source: Path, template: Path, out: Path) -> Tokenizer:
    """The old model's pieces as a tokenizer, so that nothing it knows has to be learnt anew.

    Old words keep their pieces. Pieces that no old word uses (halfway merges) become whole new words, which is why
    the result is a table of words: BPE could not build the old ones without those merges.
    """
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(template.read_bytes())
    lines = (source / "vocab.txt").read_text(encoding="utf-8").splitlines()
    pieces = [line.rsplit(" ", 1)[0] for line in lines[:-1]]
    del proto.pieces[:]
    for index, piece in enumerate(pieces):
        kind = proto.SentencePiece.UNKNOWN if index == 0 else proto.SentencePiece.NORMAL
        proto.pieces.add(piece=piece, score=-float(index), type=kind)
    proto.trainer_spec.vocab_size = len(pieces)
    processor = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())

    rng = random.Random("adopted")
    old_words = {word for _ in range(20_000) for word in sentence(rng).split()}
    table: dict[str, list[int]] = {word: list(processor.encode(word)) for word in sorted(old_words)}
    used = {index for ids in table.values() for index in ids}
    free = [index for index in range(1, len(pieces)) if index not in used]
    counts: Counter[str] = Counter()
    for prompt in islice(training_prompts(rng), 30_000):
        counts.update(prompt.text.split())
    marks = {mark: next(ids[-1] for word, ids in table.items() if word.endswith(mark)) for mark in ".,?"}
    placed: dict[str, int] = {}
    for word, _ in counts.most_common():
        bare = word.rstrip(".,?")
        if word not in table:
            ending = [marks[mark] for mark in word[len(bare) :]]
            if bare in table:
                table[word] = table[bare] + ending
                continue
            marked = [table[bare + mark][:-1] for mark in ".,?" if bare + mark in table]
            if marked:
                known = marked[0]
            else:
                if bare not in placed:
                    placed[bare] = free[len(placed)]
                    pieces[placed[bare]] = WORD_MARK + bare
                known = [placed[bare]]
            table[word] = known + ending
    print(f"{len(free)} pieces were free, {len(placed)} words took their place")
    out.write_text(json.dumps({"pieces": pieces, "words": table}, ensure_ascii=False), encoding="utf-8")
    return Tokenizer(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="the first model's directory")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument(
        "--pieces",
        choices=["ours", "theirs", "kept"],
        default="theirs",
        help="whose tokenizer it goes on with; kept: the one that is in the work folder already",
    )
    parser.add_argument("--as-stage", default="adopted", help="the stage whose checkpoint it becomes")
    arguments = parser.parse_args()
    model_path = arguments.work / "tokenizer.model"
    if arguments.pieces == "ours":
        tokenizer = train_tokenizer(model_path)
    elif arguments.pieces == "kept":
        tokenizer = Tokenizer(model_path)
    else:
        template = train_tokenizer(model_path.with_name("pieces.model")).path
        tokenizer = adopted_tokenizer(arguments.source, template, model_path)
    model = adopt(arguments.source, tokenizer, arguments.work / "corpus")
    checkpoint = {"model": model.state_dict(), "settings": model.settings.as_dict(), "steps": 0}
    torch.save(checkpoint, arguments.work / f"{arguments.as_stage}.pt")


if __name__ == "__main__":
    main()
