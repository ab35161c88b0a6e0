"""Names models that coldvoxd does not run, by what their directories and graphs have. Pure."""

import re
from collections.abc import Collection, Mapping

REMEDY = "coldvoxd runs offline ONNX exports of Parakeet TDT, RNN-T and CTC; `coldvoxctl model list` has those that can be downloaded."
_ATTENTION = "a Canary model, which decodes with attention"
_TRANSFORMERS = "a Parakeet in the layout of transformers; take the export for onnx-asr or sherpa-onnx"
_STREAMING = "a cache-aware streaming model, such as Nemotron Speech Streaming or Parakeet EOU; take an offline model"
_ICEFALL = "a Zipformer of icefall or Vosk"
MODEL_TYPES: Mapping[str, str] = {
    "nemo-conformer-aed": _ATTENTION,
    "canary": _ATTENTION,
    "cohere_asr": "Cohere Transcribe",
    "gigaam": "a GigaAM model",
    "kaldi-rnnt": _ICEFALL,
    "moonshine": "a Moonshine model",
    "parakeet_ctc": _TRANSFORMERS,
    "parakeet_rnnt": _TRANSFORMERS,
    "parakeet_tdt": _TRANSFORMERS,
    "t-one-ctc": "a T-one model, which takes telephone speech",
    "vosk": _ICEFALL,
    "whisper": "a Whisper model",
    "whisper-ort": "a Whisper model",
}
"""By `model_type` of config.json; of families, such as gigaam-v3-ctc, the first part."""
_FILES: tuple[tuple[str, str], ...] = (
    (r"decoder-model.*\.onnx", _ATTENTION),
    (r"(v\d|multilingual)\w*_(ctc|rnnt).*\.onnx", "a GigaAM model"),
    (r"(encoder|decoder)_model.*\.onnx", "a Whisper or another model in the layout of transformers"),
    (r"(preprocess|encode|(un)?cached_decode)(\.int8)?\.onnx", "a Moonshine model"),
    (r".+-(encoder|decoder)(\.int8)?\.onnx", "a Whisper model in the layout of sherpa-onnx"),
    (r"(encoder|decoder|joiner)-epoch-.*\.onnx", _ICEFALL),
    (r"(?:encoder|model|encoder-model).*\.ort", "a model in ONNX Runtime's own format; take the .onnx files"),
    (r"ggml-.*\.bin", "a Whisper model of whisper.cpp"),
    (r".*\.gguf", "a GGUF model, which transcribe.cpp and others run"),
    (r".*\.nemo", "a checkpoint of NeMo, which must be exported to ONNX first"),
    (r".*\.(mlmodelc|mlpackage)", "a CoreML model"),
    (r"model\.bin", "a Whisper model of CTranslate2"),
    (r"model\.safetensors", "weights of PyTorch, which must be exported to ONNX first"),
    (r"final\.mdl|am|ivector", "a Vosk model"),
)
"""By the name of a file or folder in a directory without a Parakeet."""
_TENSORS: tuple[tuple[str, str], ...] = (
    ("cache_last_channel", _STREAMING),
    ("encoder_embeddings", _ATTENTION),
    ("feature_lengths", "a GigaAM model"),
    ("text_norm", "a SenseVoice model"),
    ("mel", "a Whisper model"),
    ("n_layer_cross_k", "a Whisper model"),
    ("input_features", _TRANSFORMERS),
    ("x_lens", _ICEFALL),
    ("signal", "a T-one model, which takes telephone speech"),
)
"""By an input or output of the encoder's graph that only this kind has."""


def kind_of_type(model_type: str) -> str:
    """What a `model_type` of config.json stands for; empty if it is not known."""
    family = re.split(r"-v\d|-multilingual", model_type, maxsplit=1)[0]
    return MODEL_TYPES.get(model_type, MODEL_TYPES.get(family, ""))


def kind_of_files(names: Collection[str]) -> str:
    """What a directory with these entries has; empty if they do not show it."""
    return next((kind for pattern, kind in _FILES if any(re.fullmatch(pattern, name) for name in names)), "")


def kind_of_tensors(names: Collection[str]) -> str:
    """What a graph with these inputs and outputs is the encoder of; empty if they do not show it."""
    return next((kind for tensor, kind in _TENSORS if tensor in names), "")
