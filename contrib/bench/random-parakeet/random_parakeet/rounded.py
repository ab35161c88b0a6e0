"""Makes the int8 files emit like a trained model too: rounding undoes the effect of `head`.

Rounding shifts an untrained encoder's frames all in the same direction, by more than they differ from each other, so
the int8 model emits a token in each frame and advances by one, unlike a trained model after rounding. So the encoder's
projection is whitened along time again; then the durations are tilted until greedy decoding advances as far per step as
a trained model, and the blank's bias is raised until it wins as often. Both are done twice, since each affects the
other a little.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import numpy_helper

from random_parakeet.architecture import DURATIONS
from random_parakeet.head import BLANK_SHARE, HEIGHTS, ROUNDS
from random_parakeet.layout import DECODER, ENCODER, rounded

Array = npt.NDArray[np.float32]

ENCODER_BIAS = "joint.enc.bias"
STATES = [np.zeros((2, 1, 640), np.float32)] * 2
FRAMES_A_STEP = 2.4
"""The bundled small model, which is trained, takes 53 steps for 125 frames of speech."""


def tune(directory: Path, features: Sequence[Array], blank: int) -> None:
    """Change the int8 joint network's biases in place; features are float32 (1, bins, columns)."""
    encoder = onnxruntime.InferenceSession(directory / rounded(ENCODER), providers=["CPUExecutionProvider"])
    encoded = []
    for columns in features:
        length = np.array([columns.shape[2]], np.int64)
        outputs, frames = encoder.run(["outputs", "encoded_lengths"], {"audio_signal": columns, "length": length})
        encoded.append(outputs[:, :, : frames[0]])
    path = directory / rounded(DECODER)
    whiten(path, encoded)
    decoder = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    raised = np.zeros(blank + 1 + len(DURATIONS), np.float32)

    def tilt(height: float) -> bool:
        raised[blank + 1 :] = height * np.array(DURATIONS)
        frames, steps, _ = count(decoder, encoded, raised, blank)
        return frames < FRAMES_A_STEP * steps

    def lift(height: float) -> bool:
        raised[blank] = height
        _, steps, blanks = count(decoder, encoded, raised, blank)
        return blanks < BLANK_SHARE * steps

    for _ in range(2):
        halve(tilt)
        halve(lift)
    raise_biases(path, raised)


def whiten(path: Path, recordings: Sequence[Array]) -> None:
    """Give the projection of encoder frames zero mean along time, and unit deviation. Raises ValueError."""
    model = onnx.load(path)
    graph = model.graph
    made_by = {output: node for node in graph.node for output in node.output}
    constants = {constant.name: constant for constant in graph.initializer}
    (added,) = (node for node in graph.node if ENCODER_BIAS in node.input)
    (projected,) = (name for name in added.input if name != ENCODER_BIAS)
    scales = made_by[made_by[projected].input[1]]  # scales of the integer product: the frame's and the weights'
    (scale,) = (constants[name] for name in scales.input if name in constants)

    graph.output.append(onnx.helper.make_tensor_value_info(projected, onnx.TensorProto.FLOAT, None))
    probe = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    graph.output.pop()
    frames = np.concatenate(
        [
            probe.run([projected], feeds(encoded[:, :, at : at + 1], 0, STATES))[0].reshape(1, -1)
            for encoded in recordings
            for at in range(encoded.shape[2])
        ]
    )
    gain = 1 / frames.std(0).mean()
    exchange(constants[ENCODER_BIAS], -gain * frames.mean(0))
    exchange(scale, gain * numpy_helper.to_array(scale))
    onnx.save(model, path)


def exchange(constant: onnx.TensorProto, values: Array) -> None:
    """Replace the constant's values."""
    constant.CopyFrom(numpy_helper.from_array(np.asarray(values, np.float32), constant.name))


def feeds(frame: Array, token: int, states: Sequence[Array]) -> dict[str, npt.NDArray[Any]]:
    """Return the inputs of one decoder step."""
    return {
        "encoder_outputs": frame,
        "targets": np.array([[token]], np.int32),
        "target_length": np.array([1], np.int32),
        "input_states_1": states[0],
        "input_states_2": states[1],
    }


def halve(too_low: Callable[[float], bool]) -> None:
    """Bisect the height at which the answer changes; the last height passed applies."""
    low, high = HEIGHTS
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if too_low(middle) else (low, middle)


def count(
    decoder: onnxruntime.InferenceSession, recordings: Sequence[Array], raised: Array, blank: int
) -> tuple[int, int, int]:
    """Return frames, steps and blanks of greedy decoding with raised biases; each recording is (1, width, frames)."""
    frames = steps = blanks = 0
    for encoded in recordings:
        frames += encoded.shape[2]
        at, token, states = 0, blank, STATES
        while at < encoded.shape[2]:
            scores, *after = decoder.run(
                ["outputs", "output_states_1", "output_states_2"], feeds(encoded[:, :, at : at + 1], token, states)
            )
            logits = scores.reshape(-1) + raised
            steps += 1
            said = int(logits[: blank + 1].argmax())
            if said == blank:
                blanks += 1
            else:
                token, states = said, after
            at += max(DURATIONS[int(logits[blank + 1 :].argmax())], 1)
    return frames, steps, blanks


def raise_biases(path: Path, raised: Array) -> None:
    """Raise the biases of this graph's last addition. Raises ValueError if it adds no constant of that size."""
    model = onnx.load(path)
    (last,) = (node for node in model.graph.node if "outputs" in node.output)
    for constant in model.graph.initializer:
        if constant.name in last.input and list(constant.dims) == [len(raised)]:
            exchange(constant, numpy_helper.to_array(constant) + raised)
            onnx.save(model, path)
            return
    raise ValueError(f"{path.name} does not end with an addition of {len(raised)} biases")
