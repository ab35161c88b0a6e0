"""Blind comparison: the statistics, and which clips are asked how."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.core.errors import InvalidOption
from coldvoxd.evaluate.blind import (
    Choice,
    Question,
    Tally,
    chosen_run,
    clopper_pearson,
    document,
    questions,
    sign_test,
    verdict,
)


def run(texts: dict[str, str], name: str = "a", noise: str | None = None) -> dict[str, Any]:
    utterances = [
        {"id": key, "file": f"/data/{key}.flac", "begin_s": 0.0, "audio_s": 1.0, "text": text}
        for key, text in texts.items()
    ]
    return {"name": f"{name}, {noise or 'clean'}", "variant": name, "noise": noise, "utterances": utterances}


@pytest.mark.parametrize(
    ("a", "b", "p_value"),
    [(0, 0, 1.0), (5, 5, 1.0), (0, 5, 0.0625), (1, 9, 22 / 1024), (10, 0, 2 / 1024), (8, 12, 0.503445)],
)
def test_the_sign_test(a: int, b: int, p_value: float) -> None:
    """Values by hand, and for 8 of 20 from tables of the binomial distribution."""
    assert sign_test(a, b) == pytest.approx(p_value, abs=1e-6)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_sign_test_is_symmetric_and_a_probability(a: int, b: int) -> None:
    assert sign_test(a, b) == sign_test(b, a)
    assert 0.0 < sign_test(a, b) <= 1.0
    if abs(a - b) <= 1:
        assert sign_test(a, b) == 1.0


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (5, 10, 0.1871, 0.8129), (8, 20, 0.1912, 0.6395), (0, 0, 0.0, 1.0)],
)
def test_the_interval_of_clopper_and_pearson(successes: int, count: int, low: float, high: float) -> None:
    assert clopper_pearson(successes, count) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 40).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_the_interval_covers_the_share_and_ends_where_a_tail_has_2_5_percent(trial: tuple[int, int]) -> None:
    successes, count = trial
    low, high = clopper_pearson(successes, count)
    assert low <= successes / count <= high
    if successes:
        tail = sum(math.comb(count, k) * low**k * (1 - low) ** (count - k) for k in range(successes, count + 1))
        assert tail == pytest.approx(0.025, abs=1e-6)


def test_only_clips_with_different_texts_are_asked() -> None:
    first = run({"same": "Open the file.", "spaced": "a  b", "other": "Close it.", "only-a": "x"})
    second = run({"same": "Open the file.", "spaced": "a b", "other": "Close this.", "only-b": "y"})
    asked, same = questions(first, second, None, 0)
    assert [(one.id, one.a, one.b, same) for one in asked] == [("other", "Close it.", "Close this.", 2)]
    with pytest.raises(InvalidOption, match="no recording in common"):
        questions(first, run({"elsewhere": "x"}), None, 0)


def test_order_and_sides_are_random_and_the_same_for_a_seed() -> None:
    names = [f"{number:03}" for number in range(200)]
    first, second = run(dict.fromkeys(names, "a")), run(dict.fromkeys(names, "b"))
    asked, _ = questions(first, second, None, 1)
    assert [one.id for one in asked] != names
    assert sorted(one.id for one in asked) == names
    assert 70 < sum(one.swapped for one in asked) < 130
    assert asked == questions(first, second, None, 1)[0] != questions(first, second, None, 2)[0]
    assert questions(first, second, 7, 1)[0] == asked[:7]


@pytest.mark.parametrize("swapped", [True, False])
def test_an_answer_is_for_the_text_that_was_shown(swapped: bool) -> None:
    question = Question("x", "x.flac", 0.0, 1.0, "text of A", "text of B", swapped)
    for first in (True, False):
        chosen = question.shown[0 if first else 1]
        assert question.choice(first) == (Choice.A if chosen == "text of A" else Choice.B)


def test_the_result_has_no_text() -> None:
    asked, same = questions(run({"x": "secret one"}), run({"x": "secret two"}), None, 0)
    result = document(("a.json, fp32", "b.json, int8"), asked, [Choice.B], same)
    assert "secret" not in str(result)
    assert result["answers"] == [{"id": "x", "choice": "B"}]
    assert (result["preferred_b"], result["share_of_b"], result["p_value"]) == (1, 1.0, 1.0)
    assert "No preference is certain: sign test, p = 1" in verdict(result)


def test_a_certain_preference_and_none() -> None:
    certain = document(("a", "b"), [], [Choice.A] * 9 + [Choice.B, Choice.EQUAL], 3)
    assert "A is preferred: sign test, p = 0.0215" in verdict(certain)
    assert (certain["preferred_a"], certain["equal"]) == (9, 1)
    assert Tally.of([]) == Tally(0, 0, 0)
    assert "Without a preference there is no result" in verdict(document(("a", "b"), [], [Choice.EQUAL], 0))


CLIP = {"id": "a", "file": "a.flac", "begin_s": 0, "audio_s": 1.5, "text": "Open."}
RUN: dict[str, Any] = {"name": "fp32, clean", "variant": "fp32", "noise": None, "utterances": [CLIP]}


def without(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"runs": None},
        {"runs": []},
        {"runs": [1]},
        *({"runs": [without(RUN, key)]} for key in RUN),
        {"runs": [{**RUN, "name": 5}]},
        {"runs": [{**RUN, "utterances": {}}]},
        {"runs": [{**RUN, "utterances": [1]}]},
        *({"runs": [{**RUN, "utterances": [without(CLIP, key)]}]} for key in CLIP),
        *({"runs": [{**RUN, "utterances": [{**CLIP, "text": value}]}]} for value in (None, 5, ["a"])),
        *({"runs": [{**RUN, "utterances": [{**CLIP, "begin_s": value}]}]} for value in (math.nan, -math.inf, -1, "0")),
    ],
)
def test_a_report_that_is_not_whole_is_refused_in_a_sentence(report: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption, match=r"^The report (has no|is not as)"):
        chosen_run(report, "")


def test_a_whole_report_is_taken() -> None:
    assert chosen_run({"runs": [RUN]}, "") is RUN


def test_a_run_is_chosen_by_name_variant_or_number() -> None:
    report = {"runs": [run({}, "fp32", "white"), run({}, "fp32"), run({}, "int8")]}
    assert chosen_run(report, "") is report["runs"][1]
    assert chosen_run(report, "int8") is report["runs"][2]
    assert chosen_run(report, "fp32") is report["runs"][1]
    assert chosen_run(report, "3") is report["runs"][2]
    with pytest.raises(InvalidOption, match="is in noise"):
        chosen_run(report, "1")
    with pytest.raises(InvalidOption, match=r"has no run 'fp16' without noise. It has 1: fp32, white"):
        chosen_run(report, "fp16")
