"""Makes a random joint network emit like a trained one, so that the decoder has as much work as with real weights.

Untrained, it would emit the same token in each frame, or ten of them, and never skip a frame. A trained TDT advances by
one to four frames per step, and a good third of its steps emit no token. So, over some recordings: the encoder's
projection is whitened along time, which makes frames differ; the logits are centred and scaled; a duration of zero is
made rare; and the blank's bias is raised until it wins as often as in a trained model.
"""

from collections.abc import Sequence

import torch

LOGIT_SPREAD = 3.0
ZERO_DURATION_PENALTY = 4.0
BLANK_SHARE = 0.4
"""Share of blanks among the steps. NeMo's TDT needs about 2.8 times fewer steps than a transducer with a blank per
frame."""
ROUNDS = 12
"""Bisection steps in the search for the blank's bias."""
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
    """Return the encoder frames, float32 (frames, width)."""
    columns, lengths = features(model, wave)
    encoded, _ = model.encoder(audio_signal=columns, length=lengths)
    return encoded[0].T


@torch.no_grad()
def features(model: torch.nn.Module, wave: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return float32 (1, bins, columns), and how many of the columns are audio, int64 (1,)."""
    columns, lengths = model.preprocessor(input_signal=wave[None], length=torch.tensor([len(wave)]))
    return columns, lengths


def blank_share(model: torch.nn.Module, recordings: Sequence[torch.Tensor], blank: int) -> float:
    """Return the share of steps without a token in greedy decoding of these encoder frames."""
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
