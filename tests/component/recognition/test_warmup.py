"""Audio padded to a small set of lengths, and an accelerator warmed up for them; on the CPU, to compare tokens."""

import asyncio
from dataclasses import dataclass, field

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ProviderFault
from coldvoxd.core.values import Hypothesis, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.models import find_model
from coldvoxd.recognition.warmup import Warmup
from coldvoxd.recognition.worker import RecognizerWorker
from tests.support.eventually import eventually
from tests.support.sound.speech import variations


def test_padding_changes_no_token() -> None:
    """Tests every fourth of the 216 clips."""
    files = find_model("mini", Precision.FP32)
    recognizer = ParakeetRecognizer.open(files, threads=1)
    assert not recognizer.pads, "padding is of no use on the CPU"
    padding = ParakeetRecognizer.open(files, threads=1, pads=True)
    clips = [wave for _, wave in variations()][::4]
    plain = [recognizer.recognize_samples(clip).tokens for clip in clips]
    padded = [padding.recognize_samples(clip).tokens for clip in clips]
    ids = [[(token.id, token.encoder_frame, token.duration_frames) for token in tokens] for tokens in plain]
    assert [[(token.id, token.encoder_frame, token.duration_frames) for token in tokens] for tokens in padded] == ids


@dataclass
class Listed:
    """A Recognizer that records the lengths of its utterances."""

    lengths_s: list[float] = field(default_factory=list)
    breaks_at_s: float = 0.0
    provider: str = "ListedExecutionProvider"
    precision: Precision = Precision.FP16
    features_size: int = 128
    languages: tuple[str, ...] = ()

    def recognize(self, utterance: Utterance, stop: CancellationToken | None = None) -> Hypothesis:
        del stop
        if utterance.duration_s == self.breaks_at_s:
            raise ProviderFault("too long for this GPU")
        self.lengths_s.append(utterance.duration_s)
        return Hypothesis("", (), (), 0.0, self.provider, 0.0)

    def close(self) -> None: ...


async def warmed(recognizer: Listed) -> list[float]:
    worker = RecognizerWorker("listed", lambda: recognizer)
    await worker.open()
    warmup = Warmup(worker, (2, 3, 4))
    warmup.begin()
    task = warmup._task
    assert task is not None
    await eventually(task.done)
    worker.close()
    return recognizer.lengths_s[1:]  # the first is the opening's


async def test_each_length_is_run_once_from_the_shortest_on() -> None:
    assert await warmed(Listed()) == [2, 3, 4]


async def test_a_length_that_fails_ends_it_and_nothing_else() -> None:
    assert await warmed(Listed(breaks_at_s=3.0)) == [2]


async def test_it_ends_with_the_use_of_the_accelerator() -> None:
    recognizer = Listed()
    worker = RecognizerWorker("listed", lambda: recognizer)
    await worker.open()
    warmup = Warmup(worker, (2, 3, 4))
    warmup.begin()
    warmup.end()
    await asyncio.sleep(0)
    await worker.drained()
    assert recognizer.lengths_s[1:] == []
    worker.close()
