"""A setting is proposed only if a figure supports it, and with that figure."""

from typing import Any

import pytest

from coldvoxd import settings_file
from coldvoxd.core.settings import Settings
from coldvoxd.evaluate.variants import changed
from coldvoxd.first_run.proposals import proposals
from tests.support.first_run import document, measured, row


def proposed(**parts: Any) -> list[tuple[str, str]]:
    return [(one.key, one.value) for one in proposals(document(**parts))]


def test_nothing_without_a_figure() -> None:
    assert proposed() == []


def test_nothing_from_weights_that_understand_no_speech() -> None:
    hangover = [row("500", 90, (0.0, 0.0)), row("800", 20, (-60.0, -20.0))]
    assert proposed(understands=False, pauses={"hangover": hangover}) == []
    assert proposed(pauses={"hangover": hangover}) == [("endpoint.hangover_ms", "800")]


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        ([row("300", 20, (-0.4, 0.4)), row("500", 20, (0.0, 0.0))], "300"),
        ([row("300", 21, (0.0, 1.2)), row("500", 20, (0.0, 0.0))], None),
        ([row("500", 20, (0.0, 0.0)), row("800", 9, (-9.0, -2.0))], "800"),
        ([row("500", 20, (0.0, 0.0)), row("800", 15, (-5.0, 0.1))], None),
        ([row("400", 8, (-9.0, -3.0)), row("500", 20, (0.0, 0.0)), row("800", 9, (-9.0, -2.0))], "400"),
    ],
)
def test_the_hangover(rows: list[dict[str, Any]], value: str | None) -> None:
    assert proposed(pauses={"hangover": rows}) == ([("endpoint.hangover_ms", value)] if value else [])


def test_too_few_words_decide_nothing() -> None:
    rows = [{**row("500", 20, (0.0, 0.0)), "words": 100}, {**row("800", 0, (-30.0, -9.0)), "words": 100}]
    assert proposed(pauses={"hangover": rows, "seam": []}) == []


@pytest.mark.parametrize(
    ("rows", "now", "value"),
    [
        ([row("window", 20, (0.0, 0.0), seam_s=20.0), row("state", 20, (-0.3, 0.3), seam_s=0.1)], "window", "state"),
        ([row("window", 20, (0.0, 0.0), seam_s=0.4), row("state", 20, (-0.3, 0.3), seam_s=0.1)], "window", None),
        ([row("window", 20, (-9.0, -2.0), seam_s=20.0), row("state", 40, (0.0, 0.0))], "state", "auto"),
        ([row("window", 20, (-9.0, -2.0), seam_s=9.0), row("off", 40, (0.0, 0.0))], "off", "auto"),
    ],
)
def test_the_seams(rows: list[dict[str, Any]], now: str, value: str | None) -> None:
    pauses = {"seam": rows, "now": {"hangover_ms": 500, "seam": now, "method": now}}
    assert proposed(pauses=pauses) == ([("dictation.seam", value)] if value else [])


def test_int8_where_fp32_is_slow_and_int8_is_as_good() -> None:
    slow = measured("fp32", p50_s=1.2)
    assert proposed(variants=[slow, measured("int8", p50_s=0.5)]) == [("model.precision", "int8")]
    assert proposed(variants=[measured("fp32", p50_s=0.4), measured("int8", p50_s=0.2)]) == []
    assert proposed(variants=[slow, measured("int8", p50_s=0.5, errors=2)]) == []
    assert proposed(variants=[slow, measured("int8", p50_s=0.5, lost=9)]) == []
    assert proposed(variants=[slow, measured("int8", p50_s=0.5)], settings={"precision": "int8"}) == []
    assert proposed(variants=[slow, measured("int8", p50_s=0.5)], busy_share=0.4) == []


def test_a_provider_that_is_slower_or_faster_than_the_cpu() -> None:
    fast, slow = measured("fp32", "cuda", p50_s=0.05), measured("fp32", "webgpu", p50_s=2.0)
    auto = [("model.provider", "auto")]
    assert proposed(variants=[measured("fp32"), fast], settings={"provider": "cpu"}) == auto
    assert proposed(variants=[measured("fp32"), slow], settings={"provider": "webgpu"}) == auto
    assert proposed(variants=[measured("fp32"), fast, slow]) == []
    wrong = {**fast, "speech": {**fast["speech"], "golden_is_fair": False}}
    assert proposed(variants=[measured("fp32"), wrong], settings={"provider": "cpu"}) == []


def test_words_during_speech_that_come_too_late() -> None:
    partials = {"run_s": 2.5, "time_share": 0.5}
    assert proposed(partials=partials, settings={"partials": True}) == [("dictation.partials", "false")]
    assert proposed(partials=partials) == []


def test_the_commands_are_valid_and_have_their_figure() -> None:
    rows = [row("500", 20, (0.0, 0.0)), row("800", 9, (-9.0, -2.0))]
    slow = [measured("fp32", p50_s=1.2), measured("int8", p50_s=0.5)]
    found = proposals(document(pauses={"hangover": rows}, variants=slow))
    assert [one.command for one in found] == [
        "coldvoxctl config set endpoint.hangover_ms 800",
        "coldvoxctl config set model.precision int8",
    ]
    assert "9 errors and marks in 200 words, 20 with 500 ms" in found[0].reason
    assert found[0].reason.endswith("each text comes 300 ms later")
    assert "0.50 s instead of 1.20 s" in found[1].reason
    keys = {f"{doc.section}.{doc.key}" for doc in settings_file.describe()}
    assert {one.key for one in found} <= keys
    changed(Settings(), {one.key: one.value for one in found})
