from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mini_parakeet.adopt import layers_in, product_names, stored_weights, torch_gates
from mini_parakeet.model import LSTM_LAYERS, MiniParakeet
from mini_parakeet.tokenizer import Tokenizer


def test_lstm_gates_come_back_from_onnx_in_pytorchs_order(exported: Path, talkative: MiniParakeet) -> None:
    weights, _ = stored_weights(exported / "decoder_joint-model.onnx")
    recurrent = [array[0] for name, array in weights.items() if name.startswith("onnx::LSTM")]
    assert len(recurrent) == 3 * LSTM_LAYERS
    for layer in range(LSTM_LAYERS):
        inner = getattr(talkative.decoder.lstm, f"weight_ih_l{layer}").detach()
        np.testing.assert_array_equal(torch_gates(recurrent[3 * layer]), inner)


def test_nameless_products_of_the_encoder_stand_in_the_order_of_its_layers(
    exported: Path, talkative: MiniParakeet
) -> None:
    _, products = stored_weights(exported / "encoder-model.onnx")
    assert layers_in(exported / "encoder-model.onnx") == talkative.settings.layers
    state = talkative.encoder.state_dict()
    for name, product in zip(product_names(talkative.settings.layers), products, strict=True):
        np.testing.assert_array_equal(product, state[name])


def test_a_table_of_words_encodes_what_it_holds_and_refuses_the_rest(tmp_path: Path) -> None:
    model = tmp_path / "tokenizer.model"
    table = {"pieces": ["<unk>", "\u2581La", "tte", "."], "words": {"Latte": [1, 2], "Latte.": [1, 2, 3]}}
    model.write_text(json.dumps(table), encoding="utf-8")
    tokenizer = Tokenizer(model)
    assert tokenizer.encode("Latte Latte.") == [1, 2, 1, 2, 3]
    assert tokenizer.decode([1, 2, 1, 2, 3]) == "Latte Latte."
    with pytest.raises(KeyError):
        tokenizer.encode("Mocha.")
