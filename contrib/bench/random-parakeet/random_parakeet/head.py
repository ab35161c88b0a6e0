"""Makes a random joint network emit like a trained one, so that the decoder has as much to do as with real weights.

Untrained, it would say the same token in each frame, or ten of them, and never skip one. A trained TDT moves on by one to
four frames a step, and a good third of its steps say nothing. So, over some recordings: the encoder's projection is whitened
along time, which makes frames differ; the logits are centred and spread; a duration of zero is made rare; and the blank is
raised until it wins as often as it should.
"""

from collections.abc import Sequence

import torch

LOGIT_SPREAD = 3.0
ZERO_DURATION_PENALTY = 4.0
BLANK_SHARE = 0.4
"""Of the steps. NeMo's TDT needs some 2.8 times fewer steps than a transducer that says a blank in each frame."""
ROUNDS = 12
"""Of halving the interval in which the blank's height is looked for."""
HEIGHTS = (-20.0, 20.0)


@torch.no_grad()
def tune(model: torch.nn.Module, waves: Sequence[torch.Tensor], blank: int) -> None:
    """Change the joint network's weights in place; each wave is float32 (n,), 16 kHz."""
    encoded = [encode(model, wave) for wave in waves]
    frames = torch.cat(encoded)

    projection, output = model.joint.enc, model.joint.joint_net[-1]
    projected = frames @ projection.weight.T
    gain = 1 / projected.std(0).mean()
    projection.weight *= gain
    projection.bias.copy_(-gain * projected.mean(0))

    logits = torch.relu((projected - projected.mean(0)) * gain) @ output.weight.T
    spread = LOGIT_SPREAD / logits.std(0).mean()
    output.weight *= spread
    output.bias.copy_(-spread * logits.mean(0))
    output.bias[blank + 1] -= ZERO_DURATION_PENALTY

    low, high = HEIGHTS
    for _ in range(ROUNDS):
        output.bias[blank] = (low + high) / 2
        if blank_share(model, encoded, blank) < BLANK_SHARE:
            low = (low + high) / 2
        else:
            high = (low + high) / 2


def encode(model: torch.nn.Module, wave: torch.Tensor) -> torch.Tensor:
    """Encoder frames, float32 (frames, width)."""
    columns, lengths = features(model, wave)
    encoded, _ = model.encoder(audio_signal=columns, length=lengths)
    return encoded[0].T


@torch.no_grad()
def features(model: torch.nn.Module, wave: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """float32 (1, bins, columns), and how many of the columns are audio, int64 (1,)."""
    columns, lengths = model.preprocessor(input_signal=wave[None], length=torch.tensor([len(wave)]))
    return columns, lengths


def blank_share(model: torch.nn.Module, recordings: Sequence[torch.Tensor], blank: int) -> float:
    """Of all steps of greedy decoding of these encoder frames, how many say nothing."""
    steps = blanks = 0
    for frames in recordings:
        at, (predicted, state) = 0, model.decoder.predict(torch.tensor([[blank]]), None, add_sos=False)
        while at < len(frames):
            logits = model.joint.joint(frames[None, at : at + 1], predicted).reshape(-1)
            token, duration = int(logits[: blank + 1].argmax()), int(logits[blank + 1 :].argmax())
            steps += 1
            if token == blank:
                blanks += 1
            else:
                predicted, state = model.decoder.predict(torch.tensor([[token]]), state, add_sos=False)
            at += max(duration, 1)
    return blanks / steps
