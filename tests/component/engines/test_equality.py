"""Recognition compared with onnx-asr, with the same weights and the same session options."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_asr
import pytest

from coldvoxd.core.features import log_mel
from coldvoxd.core.values import Precision, Token
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.tdt import decode_greedy
from coldvoxd.models import find_model
from coldvoxd.native.opening import session_options
from tests.support.models.exact import exact_log_mel
from tests.support.models.internals import decoder_of
from tests.support.sound.speech import Wave, mini, samples, variations

THREADS = 1
"""The clips are short: more threads would only wait for each other."""
TIE = 1e-2
"""Two scores closer than this are equal, given float arithmetic in a different order."""
NOISE = 1e-5
"""Size of random differences of features, which are about 1. In half the clips ours differ from exact ones by 2e-5 at most."""


@dataclass(frozen=True)
class Pair:
    precision: Precision
    ours: ParakeetRecognizer
    reference: Any


@pytest.fixture(scope="module", params=[Precision.FP32, Precision.INT8], ids=str)
def pair(request: pytest.FixtureRequest) -> Pair:
    precision: Precision = request.param
    ours = ParakeetRecognizer.open(find_model(str(mini()), precision), threads=THREADS)
    adapter: Any = onnx_asr.load_model(
        "nemo-conformer-tdt",
        path=mini(),
        quantization=None if precision is Precision.FP32 else str(precision),
        providers=["CPUExecutionProvider"],
        sess_options=session_options(THREADS),
    )
    return Pair(precision, ours, adapter.asr)


@dataclass(frozen=True)
class Comparison:
    """One clip, decoded by the reference, by our decoder with the reference's features, and by our code alone."""

    name: str
    wave: Wave
    reference_features: npt.NDArray[np.float32]
    reference: list[tuple[int, int]]
    reference_logprobs: list[float]
    same_features: tuple[Token, ...]
    own_features: tuple[Token, ...]


@pytest.fixture(scope="module")
def comparisons(pair: Pair) -> list[Comparison]:
    return [compare(pair, name, wave) for name, wave in variations()]


def compare(pair: Pair, name: str, wave: Wave) -> Comparison:
    features, lengths = pair.reference._preprocessor(wave[None], np.array([len(wave)]))
    encoded = pair.reference._encode(features, lengths)
    ((ids, frames, logprobs),) = pair.reference._decoding(*encoded, need_logprobs=True)
    columns = features[0, :, : lengths[0]]
    return Comparison(
        name=name,
        wave=wave,
        reference_features=columns,
        reference=list(zip(ids, frames, strict=True)),
        reference_logprobs=list(logprobs),
        same_features=pair.ours.decode(pair.ours.encode(columns)),
        own_features=pair.ours.recognize_samples(wave).tokens,
    )


def placed(tokens: Iterable[Token]) -> list[tuple[int, int]]:
    return [(token.id, token.encoder_frame) for token in tokens]


@pytest.mark.heavy
def test_the_same_features_give_the_same_tokens_at_the_same_frames(comparisons: list[Comparison]) -> None:
    assert len(comparisons) >= 200
    for clip in comparisons:
        assert placed(clip.same_features) == clip.reference, clip.name
        logprobs = [token.logprob for token in clip.same_features]
        assert logprobs == pytest.approx(clip.reference_logprobs, abs=1e-4), clip.name


@pytest.mark.heavy
def test_our_own_features_give_the_same_tokens_but_for_ties(pair: Pair, comparisons: list[Comparison]) -> None:
    # In telephone speech a bin can be nearly constant, so its deviation is close to zero and single-precision errors in
    # the reference's features grow to 0.01 or even 4; ours are ten times closer to the exact features. If the exact
    # features give our tokens, the reference is wrong.
    parted = [clip for clip in comparisons if placed(clip.own_features) != clip.reference]
    ours_off = [clip for clip in parted if placed(clip.own_features) != placed(by_exact_features(pair, clip))]
    otherwise_heard = [clip.name for clip in ours_off if ids(placed(clip.own_features)) != ids(clip.reference)]
    margins = {clip.name: margin_at_parting(pair, clip) for clip in ours_off}
    count = len(comparisons)
    print(f"{pair.precision}: of {count} clips tokens part from the reference's in {len(parted)},")
    print(f"from those of exact features in {len(ours_off)}; margins there: {margins}")
    assert len(parted) <= (0.02 if pair.precision is Precision.FP32 else 0.1) * count, [clip.name for clip in parted]
    assert len(otherwise_heard) <= 0.005 * count, otherwise_heard
    if pair.precision is Precision.FP32:
        assert len(ours_off) <= 0.005 * count, margins
        assert all(margin < TIE for margin in margins.values()), margins
    else:
        # Rounding activations to 8 bits turns differences of 1e-5 in the features into whole steps, so a token may come
        # a frame earlier or later: with our features not much oftener than with random differences of that size.
        by_noise = [clip.name for clip in comparisons if parts_by_noise(pair, clip)]
        print(f"by random differences of {NOISE:g} in {len(by_noise)}")
        assert len(ours_off) <= 1.5 * len(by_noise) + 3, (margins, by_noise)


def by_exact_features(pair: Pair, clip: Comparison) -> tuple[Token, ...]:
    return pair.ours.decode(pair.ours.encode(exact_log_mel(clip.wave, len(clip.reference_features))))


def parts_by_noise(pair: Pair, clip: Comparison) -> bool:
    """Return whether random differences of the exact features change the tokens or their frames."""
    exact = exact_log_mel(clip.wave, len(clip.reference_features))
    differences = np.random.default_rng(len(clip.wave)).uniform(-NOISE, NOISE, exact.shape).astype(np.float32)
    noisy = pair.ours.decode(pair.ours.encode(exact + differences))
    return placed(noisy) != placed(by_exact_features(pair, clip))


def ids(tokens: Iterable[tuple[int, int]]) -> list[int]:
    return [token for token, _ in tokens]


def margin_at_parting(pair: Pair, clip: Comparison) -> float:
    """Return the decision margin where our tokens first differ from those of the reference's features."""
    ours = Watched(pair, log_mel(clip.wave, len(clip.reference_features)))
    theirs = Watched(pair, clip.reference_features)
    for mine, other in zip(ours.calls, theirs.calls, strict=False):
        if mine.choice != other.choice:
            return max(mine.margin, other.margin)
    raise AssertionError("the tokens differ, but no decision does")


@dataclass(frozen=True)
class Call:
    choice: tuple[int, int]
    margin: float
    """Difference between the best and the second score, of tokens or of durations, whichever is smaller."""


class Watched:
    """Decodes features and records each decision with its margin."""

    def __init__(self, pair: Pair, features: npt.NDArray[np.float32]) -> None:
        self.calls: list[Call] = []
        self._transducer = decoder_of(pair.ours)
        blank = pair.ours.vocabulary.blank
        self._split = blank + 1
        decode_greedy(pair.ours.encode(features), self, blank=blank)

    def begin(self) -> None:
        self._transducer.begin()

    def read(self, token: int) -> None:
        self._transducer.read(token)

    def score(self, encoder_frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        logits = self._transducer.score(encoder_frame)
        tokens, durations = np.sort(logits[: self._split]), np.sort(logits[self._split :])
        choice = int(logits[: self._split].argmax()), int(logits[self._split :].argmax())
        self.calls.append(Call(choice, float(min(tokens[-1] - tokens[-2], durations[-1] - durations[-2]))))
        return logits


def test_any_tokens_make_the_same_text(pair: Pair) -> None:
    """The exception is control pieces, which the reference shows."""
    vocabulary = pair.ours.vocabulary
    generator = np.random.default_rng(0)
    shown = [index for index in range(len(vocabulary)) if vocabulary.shown(index)]
    for _ in range(300):
        chosen = [int(index) for index in generator.choice(shown, size=generator.integers(0, 12))]
        tokens = [Token(index, 0, 1, 0.0) for index in chosen]
        assert vocabulary.text(tokens) == pair.reference._decode_tokens(chosen, None, None).text


def test_what_we_hear_in_the_samples_is_what_the_manifest_says_the_reference_heard(pair: Pair) -> None:
    heard = {sample.name: pair.ours.recognize_samples(sample.wave()).text for sample in samples()}
    assert heard == {sample.name: sample.heard[pair.precision] for sample in samples()}
