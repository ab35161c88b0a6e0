"""Tests of the chaos run itself: its steps follow from the seed, and its ledger detects each way to lose a sentence."""

import math
from collections.abc import Sequence

import pytest

from coldvoxd.bus.library import Variant
from tests.support.bus.private_bus import Signal
from tests.support.faults.chaos.ledger import Ledger, Obstacle, Sentence
from tests.support.faults.chaos.plan import BY_NAME, CHECK_EVERY, CHECKPOINT, KINDS, Source, Step, first_source, plan
from tests.support.faults.chaos.run import grown
from tests.support.faults.soak import Reading, not_flat
from tests.support.sound.speech import samples

SESSION = 7
MENDS = {kind.mend: kind for kind in KINDS if kind.mend}


def spoken(*numbers: int) -> list[Sentence]:
    """Return the recordings as sentences of 2 s, each followed by 1 s of silence."""
    return [Sentence(SESSION, samples()[number], 3.0 * at, 3.0 * at + 2.0) for at, number in enumerate(numbers)]


def published(*texts: str, first: int = 1) -> list[Signal]:
    return [transcribed(utterance, text) for utterance, text in enumerate(texts, first)]


def transcribed(utterance: int, text: str, *, retried: bool = False) -> Signal:
    details = {"retried": Variant("b", retried)}
    return Signal("Transcribed", [SESSION, utterance, text, details], None, "", "")


def heard(*numbers: int) -> list[str]:
    return [samples()[number].heard["fp32"] for number in numbers]


def close(sentences: Sequence[Sentence], signals: Sequence[Signal], *obstacles: Obstacle) -> list[str]:
    return Ledger(list(sentences), list(obstacles)).close(signals)


def test_sentences_published_once_and_in_order_are_accounted_for() -> None:
    assert close(spoken(0, 1, 2), published(*heard(0, 1, 2))) == []


@pytest.mark.parametrize(
    ("signals", "wrong"),
    [
        pytest.param(published(*heard(0, 2)), "is lost, though no step made it unhearable", id="lost"),
        pytest.param(published(*heard(0, 1, 1, 2)), "was published 2 times", id="published twice"),
        pytest.param(published(*heard(1, 0, 2)), "before an earlier sentence", id="out of order"),
        pytest.param(published(*heard(0, 1, 2), "Yes."), "words that were not spoken", id="words not spoken"),
        pytest.param(published("Open a file.", *heard(1, 2)), "is lost", id="another word"),
        pytest.param(published(*heard(0, 1, 2))[::-1], "utterances are out of order", id="numbers out of order"),
        pytest.param(
            [*published(*heard(0, 1, 2)), transcribed(3, heard(2)[0])], "were published twice", id="a pair not marked"
        ),
    ],
)
def test_a_sentence_that_is_not_accounted_for_is_a_fault(signals: list[Signal], wrong: str) -> None:
    assert any(wrong in fault for fault in close(spoken(0, 1, 2), signals))


def test_a_pair_that_comes_again_after_a_restart_is_as_documented() -> None:
    again = [*published(*heard(0, 1)), transcribed(2, heard(1)[0], retried=True)]
    assert close(spoken(0, 1), again) == []


def test_audio_that_was_lost_must_have_been_reported() -> None:
    swallowed = Obstacle("sound server stopped", 3.5, 4.5)
    assert "the daemon reported nothing" in close(spoken(0, 1, 2), published(*heard(0, 2)), swallowed)[0]
    counted = Obstacle("sound server stopped", 3.5, 4.5, {"gap"})
    assert close(spoken(0, 1, 2), published(*heard(0, 2)), counted) == []


def test_an_obstacle_excuses_no_sentence_but_those_it_covers() -> None:
    counted = Obstacle("microphone muted", 3.5, 4.5, {"muted"})
    assert "is lost, though" in close(spoken(0, 1, 2), published(*heard(0)), counted)[0]
    assert not counted.covers(spoken(0, 1, 2)[2])
    assert Obstacle("", 8.5).covers(Sentence(SESSION, samples()[0], 1.0, math.inf))


def test_a_step_excuses_only_what_has_no_text_yet() -> None:
    ledger = Ledger(spoken(0, 1))
    ledger.excuse_unpublished(SESSION, "daemon restarted", published(*heard(0)))
    assert [sentence.excused for sentence in ledger.sentences] == ["", "daemon restarted"]
    assert ledger.close(published(*heard(0))) == []
    assert (ledger.published, ledger.unhearable) == (1, {"daemon restarted": 1})


def test_text_of_a_session_in_which_nothing_was_spoken_is_a_fault() -> None:
    assert "words that were not spoken" in close([], published("Open the file."))[0]


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_mends_each_fault_and_follows_from_its_seed(seed: int) -> None:
    steps = plan(seed, 200)
    assert steps == plan(seed, 200)
    assert [number for number, step in enumerate(steps, 1) if step.name == CHECKPOINT] == [
        *range(CHECK_EVERY, 201, CHECK_EVERY)
    ]
    source, faults = first_source(seed), set[str]()
    for step in steps:
        kind = BY_NAME.get(step.name)
        assert kind is None or kind.only in {None, source}, step
        if kind is not None and kind.mend:
            assert kind.mend not in faults, step
            faults.add(kind.mend)
        if step.name in MENDS:
            faults.remove(step.name)
        if step.name == "other microphone":
            source = Source.VIRTUAL if source is Source.SERVER else Source.SERVER
            faults -= {MENDS[mend].mend for mend in MENDS if "microphone" in mend or "server" in mend}
        if step.name == CHECKPOINT:
            faults.clear()
    assert not faults


def test_each_kind_of_step_is_in_a_few_plans() -> None:
    seen = {step.name for seed in range(10) for step in plan(seed, 200)}
    assert seen >= {kind.name for kind in KINDS} | {*MENDS, CHECKPOINT}


def test_a_step_says_what_it_does() -> None:
    assert str(Step("daemon stopped", 0.25, 1.5)) == "after 0.25 s: daemon stopped 1.50 s"
    assert str(Step("provider fault", 0.0, choice="FAULT nan")) == "after 0.00 s: provider fault 'FAULT nan'"


def test_what_a_daemon_holds_more_than_at_first_is_a_fault() -> None:
    assert grown("threads", [16, 20, 17], 6) == []
    assert grown("threads", [16, 20, 23], 6) == ["threads grew from 16 to 23: [16, 20, 23]"]


def readings(descriptors: Sequence[int], kib: Sequence[int]) -> list[Reading]:
    return [Reading(files, 16, memory) for files, memory in zip(descriptors, kib, strict=True)]


def test_the_soak_allows_a_warm_up_and_single_readings() -> None:
    files = [12, 15, 18, 20, 20, 20] + [20, 21, 20, 20, 28, 20] * 4
    memory = [90_000, 110_000, 120_000, 130_000, 131_000, 131_500] + [131_500, 132_000, 140_000, 131_000] * 6
    assert not_flat(readings(files, memory)) == []


@pytest.mark.parametrize(
    ("descriptors", "kib", "wrong"),
    [
        pytest.param([20 + cycle for cycle in range(30)], [131_000] * 30, "descriptors grew", id="one each dictation"),
        pytest.param(
            [20 + cycle // 6 for cycle in range(30)], [131_000] * 30, "descriptors grew", id="one each sixth cycle"
        ),
        pytest.param([20] * 30, [131_000 + 250 * cycle for cycle in range(30)], "resident_kib grew", id="audio kept"),
    ],
)
def test_the_soak_notices_a_leak(descriptors: list[int], kib: list[int], wrong: str) -> None:
    (fault,) = not_flat(readings(descriptors, kib))
    assert wrong in fault
