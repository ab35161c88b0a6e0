"""FastConformer encoder, LSTM prediction network and TDT joint, with the mathematics of NeMo's Parakeet."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn

from mini_parakeet.features import MEL_BINS
from mini_parakeet.tdt_loss import DURATIONS

SUBSAMPLING = 8
LSTM_LAYERS = 2
MASKED_SCORE = -1e4


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The sizes; everything else is Parakeet's."""

    vocabulary: int
    """BPE pieces, without the blank."""
    width: int = 128
    layers: int = 5
    heads: int = 4
    kernel: int = 9
    expansion: int = 4
    channels: int = 32
    """Of the subsampling convolutions."""
    prediction: int = 128
    joint: int = 128
    dropout: float = 0.0

    def as_dict(self) -> dict[str, int | float]:
        return asdict(self)


def subsampled(lengths: torch.Tensor) -> torch.Tensor:
    """Lengths after one stride-2 convolution of kernel 3 with padding 1."""
    return (lengths - 1) // 2 + 1


def encoder_frames(feature_frames: int) -> int:
    """How many 80 ms frames the encoder makes of `feature_frames` hops."""
    for _ in range(3):
        feature_frames = (feature_frames - 1) // 2 + 1
    return feature_frames


class Subsampling(nn.Module):
    """Eight-fold depthwise-striding subsampling, masked between convolutions so that padding never leaks in."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, 2, 1)
        self.depthwise = nn.ModuleList(nn.Conv2d(channels, channels, 3, 2, 1, groups=channels) for _ in range(2))
        self.pointwise = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(2))
        self.out = nn.Linear(channels * encoder_frames(MEL_BINS), width)

    @staticmethod
    def _mask(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        inside = torch.arange(x.shape[2], device=x.device)[None] < lengths[:, None]
        return x * inside[:, None, :, None].to(x.dtype)

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = features.transpose(1, 2).unsqueeze(1)
        if self.training:
            x = x.contiguous(memory_format=torch.channels_last)
        x = F.relu(self.first(self._mask(x, lengths)))
        lengths = subsampled(lengths)
        for depthwise, pointwise in zip(self.depthwise, self.pointwise, strict=True):
            x = depthwise(self._mask(x, lengths))
            lengths = subsampled(lengths)
            x = F.relu(pointwise(self._mask(x, lengths)))
        x = self._mask(x, lengths)
        batch, channels, frames, bins = x.shape
        return self.out(x.transpose(1, 2).reshape(batch, frames, channels * bins)), lengths


def relative_positions(frames: int, width: int, device: torch.device) -> torch.Tensor:
    """Sinusoids for the distances T - 1 .. -(T - 1), float (1, 2 T - 1, width) (Dai et al. 2019)."""
    distance = torch.arange(frames - 1, -frames, -1, device=device, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, device=device, dtype=torch.float32) * -(math.log(10000.0) / width))
    return torch.stack([torch.sin(distance * rate), torch.cos(distance * rate)], -1).reshape(1, -1, width)


class Attention(nn.Module):
    """Self-attention with relative positions."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_width = heads, width // heads
        self.query, self.key, self.value, self.out, self.position = (
            nn.Linear(width, width, bias=False) for _ in range(5)
        )
        self.content_bias = nn.Parameter(torch.zeros(heads, self.head_width))
        self.position_bias = nn.Parameter(torch.zeros(heads, self.head_width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        batch, frames, width = x.shape
        query = self.query(x).view(batch, frames, self.heads, self.head_width)
        key = self.key(x).view(batch, frames, self.heads, self.head_width).transpose(1, 2)
        value = self.value(x).view(batch, frames, self.heads, self.head_width).transpose(1, 2)
        position = self.position(positions).view(1, -1, self.heads, self.head_width).transpose(1, 2)
        by_content = (query + self.content_bias).transpose(1, 2) @ key.transpose(2, 3)
        by_position = (query + self.position_bias).transpose(1, 2) @ position.transpose(2, 3)
        # Row t of `by_position` is shifted left by T - 1 - t, so that column s holds the distance t - s.
        distances = by_position.shape[-1]
        shifted = F.pad(by_position, (1, 0)).view(batch, self.heads, distances + 1, frames)[:, :, 1:]
        by_position = shifted.reshape(batch, self.heads, frames, distances)[..., :frames]
        scores = (by_content + by_position) / math.sqrt(self.head_width)
        weights = torch.softmax(scores.masked_fill(mask[:, None], MASKED_SCORE), -1).masked_fill(mask[:, None], 0.0)
        mixed: torch.Tensor = self.out((self.dropout(weights) @ value).transpose(1, 2).reshape(batch, frames, width))
        return mixed


def feed_forward(width: int, expansion: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, width * expansion, bias=False),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(width * expansion, width, bias=False),
    )


class Convolution(nn.Module):
    """The Conformer's convolution: gate, depthwise, batch norm, pointwise."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.gate = nn.Conv1d(width, 2 * width, 1, bias=False)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=(kernel - 1) // 2, groups=width, bias=False)
        self.norm = nn.BatchNorm1d(width)
        self.out = nn.Conv1d(width, width, 1, bias=False)

    def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        x = F.glu(self.gate(x.transpose(1, 2)), 1).masked_fill(padding[:, None], 0.0)
        mixed: torch.Tensor = self.out(F.silu(self.norm(self.depthwise(x)))).transpose(1, 2)
        return mixed


class Layer(nn.Module):
    """One Conformer block (Gulati et al. 2020)."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(5))
        self.before = feed_forward(width, settings.expansion, dropout)
        self.attention = Attention(width, settings.heads, dropout)
        self.convolution = Convolution(width, settings.kernel)
        self.after = feed_forward(width, settings.expansion, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, padding: torch.Tensor
    ) -> torch.Tensor:
        x = x + 0.5 * self.dropout(self.before(self.norms[0](x)))
        x = x + self.dropout(self.attention(self.norms[1](x), positions, mask))
        x = x + self.dropout(self.convolution(self.norms[2](x), padding))
        x = x + 0.5 * self.dropout(self.after(self.norms[3](x)))
        normed: torch.Tensor = self.norms[4](x)
        return normed


class Encoder(nn.Module):
    """float (B, 128, T) features and int64 (B,) lengths to float (B, width, T') and int64 (B,)."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.width = settings.width
        self.subsampling = Subsampling(settings.channels, settings.width)
        self.layers = nn.ModuleList(Layer(settings) for _ in range(settings.layers))
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, audio_signal: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, lengths = self.subsampling(audio_signal, length)
        frames = x.shape[1]
        positions = relative_positions(frames, self.width, x.device)
        inside = torch.arange(frames, device=x.device)[None] < lengths[:, None]
        mask = ~(inside[:, None] & inside[:, :, None])
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, positions, mask, ~inside)
        return x.transpose(1, 2), lengths


State = tuple[torch.Tensor, torch.Tensor]


class DecoderJoint(nn.Module):
    """The prediction network and the joint, exported as one graph. The blank id, V, is also the start of sentence."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        classes = settings.vocabulary + 1
        self.blank = settings.vocabulary
        self.state_width = settings.prediction
        self.embedding = nn.Embedding(classes, settings.prediction, padding_idx=settings.vocabulary)
        self.lstm = nn.LSTM(
            settings.prediction, settings.prediction, LSTM_LAYERS, batch_first=True, dropout=settings.dropout
        )
        self.from_encoder = nn.Linear(settings.width, settings.joint)
        self.from_prediction = nn.Linear(settings.prediction, settings.joint)
        self.out = nn.Sequential(
            nn.ReLU(), nn.Dropout(settings.dropout), nn.Linear(settings.joint, classes + len(DURATIONS))
        )

    def predict(self, targets: torch.Tensor, state: State | None = None) -> tuple[torch.Tensor, State]:
        """float (B, U, P) for int64 (B, U) targets, and the new state, two of float (2, B, P)."""
        predicted, state = self.lstm(self.embedding(targets), state)
        return predicted, state

    def join(self, encoded: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
        """float (B, T, U, V + 1 + 5) raw logits of float (B, T, D) and (B, U, P)."""
        joined: torch.Tensor = self.out(
            self.from_encoder(encoded)[:, :, None] + self.from_prediction(predicted)[:, None]
        )
        return joined

    def forward(
        self,
        encoder_outputs: torch.Tensor,
        targets: torch.Tensor,
        target_length: torch.Tensor,
        input_states_1: torch.Tensor,
        input_states_2: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        predicted, (hidden, cell) = self.predict(targets.long(), (input_states_1, input_states_2))
        # The addition keeps `target_length` in the exported graph, as NeMo's has it.
        return self.join(encoder_outputs.transpose(1, 2), predicted), target_length + 0, hidden, cell


class MiniParakeet(nn.Module):
    """Everything that is trained: encoder, decoder, and the CTC head that helps training and scoring."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings)
        self.decoder = DecoderJoint(settings)
        self.ctc = nn.Linear(settings.width, settings.vocabulary + 1)
        subsampling = self.encoder.subsampling
        for module in (subsampling.first, subsampling.depthwise, subsampling.pointwise):
            module.to(memory_format=torch.channels_last)

    @torch.no_grad()
    def transcribe(self, features: torch.Tensor, longest_burst: int = 10) -> list[int]:
        """Greedy TDT decoding of float (128, T), the reference for every other decoder."""
        return [token for token, _ in self.transcribe_timed(features, longest_burst)]

    @torch.no_grad()
    def transcribe_timed(
        self, features: torch.Tensor, longest_burst: int = 10, context: tuple[int, ...] = ()
    ) -> list[tuple[int, int]]:
        """Tokens with their encoder frames; the prediction network has read `context` before the first frame."""
        encoded, lengths = self.encoder(features[None], torch.tensor([features.shape[1]]))
        encoded = encoded.transpose(1, 2)
        predicted, state = self.decoder.predict(torch.tensor([[self.decoder.blank, *context]]))
        predicted = predicted[:, -1:]
        tokens: list[tuple[int, int]] = []
        frame = burst = 0
        while frame < int(lengths[0]):
            logits = self.decoder.join(encoded[:, frame : frame + 1], predicted)[0, 0, 0]
            token = int(logits[: self.decoder.blank + 1].argmax())
            duration = int(logits[self.decoder.blank + 1 :].argmax())
            if token != self.decoder.blank:
                tokens.append((token, frame))
                predicted, state = self.decoder.predict(torch.tensor([[token]]), state)
                burst += 1
            if duration > 0:
                frame += duration
                burst = 0
            elif token == self.decoder.blank or burst == longest_burst:
                frame += 1
                burst = 0
        return tokens
