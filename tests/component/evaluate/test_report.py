"""Reports as JSON, tables and plot, of outcomes that are made up."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldvoxd.core.errors import InvalidOption
from coldvoxd.core.settings import Settings
from coldvoxd.evaluate import plot, report, tables
from coldvoxd.evaluate.bootstrap import Bootstrap, Unit
from coldvoxd.evaluate.clips import Clip, ClipFault, Dataset
from coldvoxd.evaluate.comparing import Gate, differences
from coldvoxd.evaluate.measuring import Outcome, Run
from coldvoxd.evaluate.noise import CLEAN, Condition, Noise
from coldvoxd.evaluate.normalization import Normalization, normalizer
from coldvoxd.evaluate.report import Method
from coldvoxd.evaluate.scoring import Counts, scorer
from coldvoxd.evaluate.variants import Variant

CLIPS = tuple(
    Clip(name, Path(f"data/{name}.flac"), "secret words", speaker, text_file=Path(f"data/{name}.txt"))
    for name, speaker in (("a", "7"), ("b|<", "9"))
)
SCORER = scorer(normalizer(Normalization.ENGLISH))
BOOTSTRAP = Bootstrap(Unit.UTTERANCES, 100)


def run(name: str, errors: int, condition: Condition = CLEAN, fault: str = "") -> Run:
    heard = Outcome(CLIPS[0], 2.0, 0.5, "secret swords", Counts(2, errors, 0, 0), warnings=("The file is damaged.",))
    other = Outcome(CLIPS[1], fault=fault) if fault else Outcome(CLIPS[1], 3.0, 0.5, "secret", Counts(2, 0, 1, 0))
    return Run(Variant(name, Settings()), condition, "mini", "fp32", "cpu", 0.1, 123, (heard, other))


def document(*runs: Run, allowed: float | None = None) -> dict[str, Any]:
    compared = differences(runs, BOOTSTRAP)
    gate = None if allowed is None else Gate(allowed, compared)
    dataset = Dataset(Path("data"), "folder", CLIPS, (ClipFault("c", "its text is empty"),))
    return report.document(dataset, runs, compared, gate, Method(SCORER, BOOTSTRAP, 5))


def test_the_document() -> None:
    found = document(run("fp32", 1), run("int8", 2, Condition(Noise.WHITE, 20.0)))
    assert json.loads(json.dumps(found)) == found
    assert found["schema"] == "coldvoxd-evaluation/1"
    assert found["data"]["speakers"] == 2
    assert found["data"]["left_out"] == [{"name": "c", "reason": "its text is empty"}]
    assert (found["data"]["references"], found["data"]["reference_files"]) == ("*.txt of the recording's name", 2)
    first, second = found["runs"]
    assert first["utterances"][0]["reference_file"] == str(Path("data/a.txt").absolute())
    assert (first["wer"], first["words"], first["substitutions"], first["deletions"]) == (50.0, 4, 1, 1)
    assert (first["audio_s"], first["recognition_s"], first["times_real_time"]) == (5.0, 1.0, 5.0)
    assert (second["noise"], second["snr_db"], second["name"]) == ("white", 20.0, "int8, white 20 dB")
    assert [one["text"] for one in first["utterances"]] == ["secret swords", "secret"]
    assert [one["id"] for one in first["warnings"]] == ["a"]


def test_without_a_recognized_word_there_is_no_rate() -> None:
    nothing = replace(run("int8", 1), outcomes=(Outcome(CLIPS[0], fault="broken"), Outcome(CLIPS[1], fault="broken")))
    for runs in ((nothing,), (nothing, run("fp32", 1)), (run("fp32", 1), nothing)):
        found = document(*runs, allowed=0.1)
        mute = next(one for one in found["runs"] if one["variant"] == "int8")
        assert (mute["wer"], mute["interval"], mute["words"]) == (None, None, 0)
        assert all(
            (one["points"], one["interval"], one["certain"]) == (None, None, False) for one in found["differences"]
        )
        assert found["gate"]["smallest_points"] is None
        for text in (tables.terminal(found), tables.markdown(found)):
            assert "0.00" not in text.replace("50.00", "")
            assert "weighs" not in text
        ET.fromstring(plot.svg(found))


def test_only_the_json_report_has_spoken_text() -> None:
    found = document(run("fp32", 1), run("int8", 2), allowed=0.1)
    for text in (
        json.dumps(report.without_text(found)),
        tables.terminal(found),
        tables.markdown(found),
        plot.svg(found),
    ):
        assert "secret" not in text
    assert "secret" in json.dumps(found)


def test_the_tables() -> None:
    found = document(run("fp32", 1), run("int8", 2, fault="b.flac: has no audio"), allowed=0.1)
    terminal, page = tables.terminal(found), tables.markdown(found)
    assert terminal.splitlines()[0].split() == [
        "run",
        "WER",
        "%",
        "95",
        "%",
        "words",
        "sub",
        "del",
        "ins",
        "x",
        "real",
        "time",
        "peak",
        "MiB",
        "model",
    ]
    assert terminal.splitlines()[1].split()[:3] == ["fp32,", "clean", "50.00"]
    for text in (terminal, page):
        assert "int8, clean: 1 recordings failed, and are not in its rate (b|<: b.flac: has no audio)." in text
        assert "1 recordings were left out (c: its text is empty)." in text
        assert "fp32, clean: 1 recordings are damaged (a: The file is damaged.)." in text
        assert "Gate missed" in text
        assert "One word weighs 50 points here" in text
        assert "bootstrap by utterances, 100 draws, seed 0" in text
        assert "References: 2 files, *.txt of the recording's name." in text
    assert "| b\\|< | fp32, clean | 2 | 1 | 3.0 |" in page


def test_a_run_in_which_everything_failed_has_a_report() -> None:
    failed = Run(
        Variant("cuda", Settings()),
        CLEAN,
        "mini",
        "fp32",
        "cuda",
        0.1,
        0,
        tuple(Outcome(clip, fault="no") for clip in CLIPS),
    )
    found = document(run("cpu", 1), failed, allowed=100.0)
    assert (found["runs"][1]["wer"], found["runs"][1]["times_real_time"], found["gate"]["met"]) == (None, None, False)
    ET.fromstring(plot.svg(found))
    assert "Gate missed" in tables.terminal(found)


def test_the_plot_has_a_bar_for_each_run_by_condition() -> None:
    noisy = Condition(Noise.WHITE, 5.0)
    found = document(run("fp32", 0), run("fp32", 2, noisy), run("int8 <", 1), run("int8 <", 2, noisy))
    drawn = ET.fromstring(plot.svg(found))
    names = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text") if ", " in (text.text or "")]
    assert names[-4:] == ["fp32, clean", "int8 <, clean", "fp32, white 5 dB", "int8 <, white 5 dB"]
    bars = [rect for rect in drawn.iter("{http://www.w3.org/2000/svg}rect") if rect.get("x")]
    assert len(bars) == 4
    assert len({bar.get("fill") for bar in bars}) == 2


@given(st.floats(1e-4, 1e4))
def test_an_axis_has_a_handful_of_round_ticks(most: float) -> None:
    step = plot.tick_step(most)
    assert 2 <= most / step <= 5.001
    assert float(f"{step:.1e}") == pytest.approx(step)


def test_reports_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with pytest.raises(InvalidOption, match="cannot be read"):
        report.load(path)
    path.write_text("{")
    with pytest.raises(InvalidOption, match="it is not JSON"):
        report.load(path)
    for other in ("[]", '{"schema": "coldvoxd-evaluation/9"}'):
        path.write_text(other)
        with pytest.raises(InvalidOption, match="is not a report of this version"):
            report.load(path)
    path.write_text(json.dumps(document(run("fp32", 1))))
    assert report.load(path)["runs"][0]["name"] == "fp32, clean"
