"""Differences between variants, and the gate."""

from dataclasses import replace
from pathlib import Path

import pytest

from coldvoxd.core.errors import InvalidOption
from coldvoxd.core.settings import ModelSettings, Settings
from coldvoxd.core.values import EndReason, Utterance
from coldvoxd.evaluate.bootstrap import Bootstrap, Unit
from coldvoxd.evaluate.clips import Clip
from coldvoxd.evaluate.comparing import Gate, differences
from coldvoxd.evaluate.engines import open_recognizer
from coldvoxd.evaluate.measuring import Outcome, Run
from coldvoxd.evaluate.noise import CLEAN, Condition, Noise
from coldvoxd.evaluate.scoring import Counts
from coldvoxd.evaluate.variants import Comparison, Variant, changed, comparable, variants
from tests.support.sound.speech import samples

BOOTSTRAP = Bootstrap(Unit.UTTERANCES, 200)
CLIPS = [Clip(f"clip-{number:03}", Path(f"{number}.flac"), "ten words") for number in range(100)]


def run(name: str, wrong_clips: int, condition: Condition = CLEAN, failed: tuple[int, ...] = ()) -> Run:
    """Return a run over 1,000 words, with one error in each of the first clips."""
    outcomes = tuple(
        Outcome(clip, fault="broken")
        if number in failed
        else Outcome(clip, 1.0, 0.1, "", Counts(10, int(number < wrong_clips), 0, 0))
        for number, clip in enumerate(CLIPS)
    )
    return Run(Variant(name, Settings()), condition, "mini", "fp32", "cpu", 0.1, 100, outcomes)


def test_each_variant_is_compared_with_the_first_in_its_condition() -> None:
    noisy = Condition(Noise.WHITE, 10.0)
    runs = [run("cpu", 10), run("cpu", 30, noisy), run("cuda", 12), run("cuda", 29, noisy)]
    clean, loud = differences(runs, BOOTSTRAP)
    assert (clean.base, clean.other, clean.words) == (runs[0], runs[2], 1000)
    assert clean.points == pytest.approx(0.2)
    assert clean.interval.low <= 0.2 <= clean.interval.high
    assert (loud.base, loud.other) == (runs[1], runs[3])
    assert loud.points == pytest.approx(-0.1)
    assert not loud.is_certain


@pytest.mark.parametrize(("wrong", "is_met"), [(10, True), (11, True), (12, False), (0, True)])
def test_the_gate_is_one_sided_and_includes_its_value(wrong: int, is_met: bool) -> None:
    gate = Gate(0.1, differences([run("cpu", 10), run("cuda", wrong)], BOOTSTRAP))
    assert gate.is_met is is_met
    assert [one.other.variant.name for one in gate.missed] == ([] if is_met else ["cuda"])
    assert gate.smallest_points == pytest.approx(0.1)


def test_one_condition_is_enough_to_miss_the_gate() -> None:
    noisy = Condition(Noise.BABBLE, 5.0)
    runs = [run("cpu", 10), run("cpu", 10, noisy), run("cuda", 10), run("cuda", 20, noisy)]
    assert [one.other.name for one in Gate(0.1, differences(runs, BOOTSTRAP)).missed] == ["cuda, babble 5 dB"]


def test_a_variant_that_fails_where_the_first_does_not_misses_the_gate() -> None:
    both = differences([run("cpu", 10, failed=(50,)), run("cuda", 10, failed=(50,))], BOOTSTRAP)
    assert Gate(0.1, both).is_met
    assert (both[0].clips, both[0].words) == (99, 990)
    assert not Gate(0.1, differences([run("cpu", 10), run("cuda", 10, failed=(50,))], BOOTSTRAP)).is_met
    nothing = differences([run("cpu", 10, failed=tuple(range(100))), run("cuda", 10)], BOOTSTRAP)
    assert not Gate(100.0, nothing).is_met


def test_other_engines_are_not_judged() -> None:
    peer = run("whisper", 90)
    peer = replace(peer, variant=replace(peer.variant, engine="faster-whisper"))
    gate = Gate(0.1, differences([run("cpu", 10), run("cuda", 10), peer], BOOTSTRAP))
    assert gate.is_met
    assert len(gate.differences) == 2


def test_values_of_several_settings_are_combined() -> None:
    compared = [Comparison.parse("precision=fp32, int8"), Comparison.parse("dictation.seam=off,window")]
    found = variants(Settings(), compared, [])
    assert [variant.name for variant in found] == [
        "precision=fp32 dictation.seam=off",
        "precision=fp32 dictation.seam=window",
        "precision=int8 dictation.seam=off",
        "precision=int8 dictation.seam=window",
    ]
    last = found[-1].settings
    assert (last.model.precision, last.dictation.seam) == ("int8", "window")
    assert replace(last, model=Settings().model, dictation=Settings().dictation) == Settings()
    assert [variant.name for variant in variants(Settings(), [], ["onnx-asr"])] == ["coldvoxd", "onnx-asr"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("precision", "write KEY=VALUE,VALUE"),
        ("precision=", "write KEY=VALUE,VALUE"),
        ("precision=int8,int8", "with different values"),
        ("volume=1,2", "is no setting that changes how recordings are recognized: model, precision"),
        ("endpoint.hangover_ms=300,500", "is no setting that changes how recordings are recognized"),
        ("model.prepared_gb=1,2", "is no setting that changes how recordings are recognized"),
    ],
)
def test_what_cannot_be_compared(given: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        Comparison.parse(given)


def test_values_are_checked_as_those_of_the_settings_file() -> None:
    with pytest.raises(InvalidOption, match="precision=fp8: `precision` must be one of"):
        changed(Settings(), {"precision": "fp8"})
    assert changed(Settings(), {"threads": "3"}).model.threads == 3
    assert {"model.language_means", "dictation.seam_s"} <= comparable()


def test_engines_beside(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match="the engines beside coldvoxd are onnx-asr, sherpa-onnx, faster-whisper"):
        variants(Settings(), [], ["vosk"])
    with pytest.raises(InvalidOption, match=r"there is no directory .* Models are not downloaded"):
        variants(Settings(), [], [f"sherpa-onnx={tmp_path / 'nowhere'}"])
    with pytest.raises(InvalidOption, match="Two of the compared variants are the same"):
        variants(Settings(), [], ["onnx-asr", "onnx-asr"])


def test_how_the_decoder_searches_is_compared_too() -> None:
    wide, hot = (
        open_recognizer(ModelSettings(name="mini", provider="cpu", **keys))
        for keys in ({"beam_size": 4}, {"temperature": 3.0})
    )
    usual = open_recognizer(ModelSettings(name="mini", provider="cpu"))
    clip = Utterance(1, 0, 0, samples()[2].wave(), EndReason.LENGTH)
    found = [one.recognize(clip) for one in (usual, wide, hot)]
    assert found[0].text == found[2].text
    assert found[2].confidence < found[0].confidence
    assert wide._decoding.options.beam_size == 4  # type: ignore[attr-defined]
