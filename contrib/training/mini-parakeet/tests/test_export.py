from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx_asr
import onnxruntime
import pytest
import torch

from mini_parakeet.features import log_mel
from mini_parakeet.model import MiniParakeet
from mini_parakeet.tokenizer import WORD_MARK, Tokenizer


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("frames", [1, 8, 77, 640])
def test_the_exported_encoder_equals_the_training_graph(exported: Path, talkative: MiniParakeet, frames: int) -> None:
    features = torch.randn(1, 128, frames, generator=torch.Generator().manual_seed(frames))
    with torch.no_grad():
        expected, lengths = talkative.encoder(features, torch.tensor([frames]))
    feeds = {"audio_signal": features.numpy(), "length": np.array([frames])}
    outputs, encoded = session(exported / "encoder-model.onnx").run(["outputs", "encoded_lengths"], feeds)
    np.testing.assert_allclose(outputs, expected.numpy(), atol=1e-4)
    assert encoded.tolist() == lengths.tolist()


def test_the_exported_decoder_equals_the_training_graph(exported: Path, talkative: MiniParakeet) -> None:
    torch.manual_seed(2)
    width, size = talkative.settings.width, talkative.settings.prediction
    inputs = (
        torch.randn(3, width, 5),
        torch.randint(0, 50, (3, 2), dtype=torch.int32),
        torch.full((3,), 2, dtype=torch.int32),
        torch.randn(2, 3, size),
        torch.randn(2, 3, size),
    )
    with torch.no_grad():
        expected = talkative.decoder(*inputs)
    graph = session(exported / "decoder_joint-model.onnx")
    names = [tensor.name for tensor in graph.get_inputs()]
    outputs = graph.run(None, dict(zip(names, (tensor.numpy() for tensor in inputs), strict=True)))
    for mine, theirs in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-4)


def test_tensors_are_named_typed_and_shaped_as_parakeets(exported: Path, tokenizer: Tokenizer) -> None:
    def signature(name: str) -> dict[str, str]:
        graph = session(exported / name)
        return {tensor.name: tensor.type for tensor in [*graph.get_inputs(), *graph.get_outputs()]}

    assert signature("encoder-model.onnx") == {
        "audio_signal": "tensor(float)",
        "length": "tensor(int64)",
        "outputs": "tensor(float)",
        "encoded_lengths": "tensor(int64)",
    }
    assert (
        signature("decoder_joint-model.onnx")
        == signature("decoder_joint-model.int8.onnx")
        == {
            "encoder_outputs": "tensor(float)",
            "targets": "tensor(int32)",
            "target_length": "tensor(int32)",
            "input_states_1": "tensor(float)",
            "input_states_2": "tensor(float)",
            "outputs": "tensor(float)",
            "prednet_lengths": "tensor(int32)",
            "output_states_1": "tensor(float)",
            "output_states_2": "tensor(float)",
        }
    )
    outputs = onnx.load(exported / "decoder_joint-model.onnx").graph.output[0]
    assert outputs.type.tensor_type.shape.dim[3].dim_value == tokenizer.size + 1 + 5


def test_config_and_vocabulary_are_laid_out_as_parakeets(exported: Path, tokenizer: Tokenizer) -> None:
    assert json.loads((exported / "config.json").read_text()) == {
        "model_type": "nemo-conformer-tdt",
        "features_size": 128,
        "subsampling_factor": 8,
    }
    lines = (exported / "vocab.txt").read_text(encoding="utf-8").splitlines()
    assert [line.rsplit(" ", 1)[1] for line in lines] == [str(index) for index in range(tokenizer.size + 1)]
    assert lines[-1] == f"<blk> {tokenizer.size}"
    assert any(line.startswith(WORD_MARK) for line in lines)


@pytest.mark.parametrize("seconds", [0.15, 0.8, 3.3])
def test_greedy_decoding_equals_onnx_asr(
    exported: Path, talkative: MiniParakeet, tokenizer: Tokenizer, seconds: float
) -> None:
    model = onnx_asr.load_model("nemo-conformer-tdt", path=exported, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(int(seconds * 100))
    texts = []
    for _ in range(6):
        samples = (rng.standard_normal(int(seconds * 16_000)) * 0.1).astype(np.float32)
        tokens = talkative.transcribe(torch.from_numpy(log_mel(samples)))
        pieces = "".join(tokenizer.pieces()[token] for token in tokens).replace(WORD_MARK, " ")
        assert "".join(model.recognize(samples).split()) == "".join(pieces.split())
        texts.append(pieces)
    assert any(texts), "a model that says nothing proves nothing"


def test_the_int8_files_load_and_answer(exported: Path) -> None:
    model = onnx_asr.load_model(
        "nemo-conformer-tdt", path=exported, quantization="int8", providers=["CPUExecutionProvider"]
    )
    assert isinstance(model.recognize(np.zeros(16_000, np.float32)), str)
