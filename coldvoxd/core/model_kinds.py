"""The kinds of Parakeet models, by what turns the encoder's frames into tokens. Pure."""

from enum import StrEnum


class ModelKind(StrEnum):
    """Values are those of `model_type` in config.json, as onnx-asr reads it."""

    TDT = "nemo-conformer-tdt"
    """A transducer that predicts with each token after how many frames the next one follows."""
    RNNT = "nemo-conformer-rnnt"
    """A transducer without such durations."""
    CTC = "nemo-conformer-ctc"
    """The encoder itself scores the vocabulary; there is no prediction network."""

    @property
    def label(self) -> str:
        """The usual name, such as `RNN-T`."""
        return {ModelKind.TDT: "TDT", ModelKind.RNNT: "RNN-T", ModelKind.CTC: "CTC"}[self]
