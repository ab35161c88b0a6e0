"""The published models that coldvoxd is made for, and the command that fetches each."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from coldvoxd.core.values import Precision


@dataclass(frozen=True, slots=True)
class PublishedModel:
    repository: str
    revision: str
    """Pinned, so that everybody runs the same weights."""
    size: Mapping[Precision, str]


PUBLISHED: Mapping[str, PublishedModel] = {
    "parakeet-tdt-0.6b-v2": PublishedModel(
        "istupakov/parakeet-tdt-0.6b-v2-onnx",
        "0bbb45a3365852604aef28b538a8f066f4ccaa85",
        {Precision.FP32: "2.5 GB", Precision.INT8: "0.7 GB"},
    ),
    "parakeet-tdt-0.6b-v3": PublishedModel(
        "istupakov/parakeet-tdt-0.6b-v3-onnx",
        "8f23f0c03c8761650bdb5b40aaf3e40d2c15f1ce",
        {Precision.FP32: "2.5 GB", Precision.INT8: "0.7 GB"},
    ),
}

_FILES: Mapping[Precision, tuple[str, ...]] = {
    Precision.FP32: ("encoder-model.onnx", "encoder-model.onnx.data", "decoder_joint-model.onnx"),
    Precision.INT8: ("encoder-model.int8.onnx", "decoder_joint-model.int8.onnx"),
}


def fetch_command(name: str, precision: Precision, directory: Path) -> str | None:
    """The shell command that puts a published model into `directory`; None where nobody publishes it like that."""
    model = PUBLISHED.get(name)
    if model is None or precision not in _FILES:
        return None
    arguments = ("hf", "download", model.repository, *_FILES[precision], "vocab.txt", "config.json")
    return shlex.join((*arguments, "--revision", model.revision, "--local-dir", str(directory)))


def fetch_hint(name: str, precision: Precision, directory: Path) -> str:
    """What a person without that model can do."""
    command = fetch_command(name, precision, directory)
    if command is None:
        known = ", ".join(f"`{known}`" for known in PUBLISHED)
        return f"Published models are {known}; `mini` is bundled, for trials; or give the path of a model directory."
    size = PUBLISHED[name].size[precision]
    return (
        f"Fetch it ({size}; `hf` comes with `pipx install huggingface_hub`):\n  {command}\n"
        "To try coldvoxd without it, use the model `mini`, which is bundled and knows few words."
    )
