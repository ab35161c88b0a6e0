from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

from mini_parakeet.carried import Carried
from mini_parakeet.corpus import SAMPLE_RATE, Clip, Samples
from mini_parakeet.evaluate import Recognized
from mini_parakeet.export import export
from mini_parakeet.features import log_mel
from mini_parakeet.judge import Seam, as_table, joined_tally, seams_between, seams_inside, tally_rows
from mini_parakeet.model import MiniParakeet
from mini_parakeet.tokenizer import Tokenizer


class Listener:
    """Hears a sentence, and a full stop in any audio that is longer than the sentence alone."""

    name = "listener"

    def recognize(self, samples: Samples, rate: int = SAMPLE_RATE) -> Recognized:
        return Recognized("Send it." if len(samples) <= 24_000 else "Send. It.", 1.0)

    def recognize_all(self, clips: Iterable[Samples], rate: int = SAMPLE_RATE) -> list[Recognized]:
        return [self.recognize(clip, rate) for clip in clips]


CLIP = Clip(np.full(16_000, 0.1, np.float32), "Send it.", "a:b", cuts=(8_000,))


def test_pauses_are_judged_by_their_length() -> None:
    (seam,) = seams_inside([CLIP])
    tallies = joined_tally([seam], Listener(), [0.0, 0.9])
    assert [(tally.same_words, tally.judged, tally.right) for tally in tallies.values()] == [(1, 1, 1), (1, 1, 0)]
    rows = list(tally_rows("x", tallies[0.9]))
    assert [row.value for row in rows] == [100.0, 0.0]
    assert as_table({"one": rows}).count("\n") == 3


def test_halves_make_up_the_whole_and_pairs_are_of_neighbours() -> None:
    (seam,) = seams_inside([CLIP])
    first, second = seam.halves()
    assert len(first) + len(second) == len(seam.unpaused()) == 16_000
    assert len(seam.paused(0.6)) == 16_000 + 9_600
    (pair,) = seams_between([CLIP, CLIP, CLIP])
    assert (pair.inside, pair.place, pair.text) == (False, 2, "Send it. Send it.")
    assert isinstance(pair, Seam)


def test_exported_files_hear_with_context_what_the_model_hears(
    tmp_path: Path, talkative: MiniParakeet, tokenizer: Tokenizer
) -> None:
    model = deepcopy(talkative)
    with torch.no_grad():  # so that what came before counts
        model.decoder.from_prediction.weight.mul_(40)
    export(model, tokenizer, tmp_path)
    recognizer = Carried(tmp_path, None)
    samples = np.random.default_rng(2).standard_normal(24_000).astype(np.float32) * 0.1
    features = torch.from_numpy(log_mel(samples))
    heard: dict[tuple[int, ...], list[int]] = {}
    for context in ((), (3,), (9, 4), (3, 9, 4), (40, 2, 80, 5), (300,)):
        expected = [token for token, _ in model.transcribe_timed(features, context=context)]
        heard[context] = list(recognizer.recognize(samples, context).tokens)
        assert heard[context] == expected
    assert len({tuple(tokens) for tokens in heard.values()}) > 1
    assert recognizer.recognize(samples).text == tokenizer.decode(heard[()])
