"""coldvoxctl evaluate with the bundled model and its samples."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coldvoxd.cli.evaluation_audio import part_of, without_beginning
from coldvoxd.cli.exit_codes import Exit
from coldvoxd.core.errors import FileFault
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.core.visible_text import is_visible
from coldvoxd.evaluate.clips import Clip
from coldvoxd.settings_file import load
from tests.component.cli.conftest import Terminal
from tests.support.evaluation import CLIPS, ROOT, evaluate, librispeech, plain
from tests.support.models.family import write_ctc, write_rnnt
from tests.support.sound.speech import samples

MINI = ("--model", "mini")
NO_SOCKETS = """
import sys
def refuse(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto"}:
        raise SystemExit(f"a socket: {event}")
sys.addaudithook(refuse)
"""
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""


def test_samples_in_librispeech_s_layout(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data")
    files = [tmp_path / name for name in ("report.json", "report.md", "plot.svg")]
    outputs = [argument for file in files for argument in ("--output", file)]
    ended = evaluate(place, *MINI, *outputs, home=tmp_path, before=NO_SOCKETS)
    assert (ended.exit, ended.err) == (Exit.DONE, "")
    report = json.loads(files[0].read_text())
    (run,) = report["runs"]
    assert (run["model"], run["precision"], run["provider"]) == ("mini", "fp32", "cpu")
    assert (run["clips"], run["wer"], run["failures"], run["warnings"]) == (CLIPS, 0.0, [], [])
    assert run["words"] == sum(len(sample.said.split()) for sample in samples()[:CLIPS])
    assert run["peak_mib"] > 20
    assert run["times_real_time"] > 0
    heard = {Path(one["file"]).stem: one["text"] for one in run["utterances"]}
    assert sorted(heard.values()) == sorted(sample.heard["fp32"] for sample in samples()[:CLIPS])
    assert "coldvoxd, clean" in ended.out
    assert "| coldvoxd, clean | 0.00 |" in files[1].read_text()
    assert files[2].read_text().startswith("<svg")
    for text in (ended.out, files[1].read_text(), files[2].read_text()):
        assert plain(samples()[0].said) not in text
        assert samples()[0].said not in text


def test_precisions_in_noise_with_a_gate(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data", samples()[:2])
    given = (*MINI, "--compare", "precision=fp32,int8", "--snr", "15", "--noise", "both", "--json")
    first = evaluate(place, *given, "--gate", "100", home=tmp_path)
    assert first.exit == Exit.DONE
    report = first.report
    assert [run["name"] for run in report["runs"]] == [
        f"precision={precision}, {condition}"
        for precision in ("fp32", "int8")
        for condition in ("clean", "white 15 dB", "babble 15 dB")
    ]
    assert [run["precision"] for run in report["runs"]] == ["fp32"] * 3 + ["int8"] * 3
    assert [one["condition"] for one in report["differences"]] == ["clean", "white 15 dB", "babble 15 dB"]
    assert report["gate"]["met"]
    assert all("utterances" not in run for run in report["runs"])


def test_a_missed_gate_has_an_exit_code(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data", samples()[:2])
    kept = tmp_path / "model"
    shutil.copytree(samples()[0].path.parents[1], kept)
    words = (kept / "vocab.txt").read_text().splitlines()
    vocabulary = [line.replace("\u2581O", "\u2581X").replace("open", "close") for line in words]
    vocabulary[40:120] = [f"\u2581wrong{number} {line.rpartition(' ')[2]}" for number, line in enumerate(words[40:120])]
    (kept / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    ended = evaluate(place, "--compare", f"model=mini,{kept}", "--gate", "0.1", home=tmp_path)
    assert ended.exit == Exit.GATE_MISSED
    assert "Gate missed" in ended.out


def test_what_cannot_be_used_ends_the_command_or_is_left_out_and_named(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data", samples()[:2])
    (place / "103/7/103-7.trans.txt").write_text("103-7-0000\n")
    ended = evaluate(place, *MINI, home=tmp_path)
    assert (ended.exit, ended.out) == (Exit.FAILED, "")
    assert "1 of 2 recordings cannot be used (103-7-0000: its text is empty)" in ended.err
    ended = evaluate(place, *MINI, "--skip-faulty", "--json", home=tmp_path)
    assert ended.exit == Exit.DONE
    assert ended.report["data"]["left_out"] == [{"name": "103-7-0000", "reason": "its text is empty"}]
    assert ended.report["runs"][0]["clips"] == 1


def test_a_text_without_words_and_recordings_without_audio_give_no_rate(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data", samples()[:1])
    (place / "103/7/103-7.trans.txt").write_text("103-7-0000 um\n")
    for given in ((), ("--skip-faulty",), ("--tune",)):
        ended = evaluate(place, *MINI, *given, home=tmp_path)
        assert (ended.exit, ended.out) == (Exit.FAILED, "")
        assert "the normalization leaves no words of its text" in ended.err
    (place / "103/7/103-7.trans.txt").write_text("103-7-0000 open\n")
    (place / "103/7/103-7-0000.flac").write_bytes(b"fLaC, but nothing else")
    ended = evaluate(place, *MINI, "--compare", "precision=fp32,int8", "--gate", "0.1", "--json", home=tmp_path)
    assert ended.exit == Exit.FAILED
    assert [run["wer"] for run in ended.report["runs"]] == [None, None]


def test_a_recording_that_cannot_be_decoded_is_counted_and_named(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data", samples()[:3])
    (place / "103/7/103-7-0000.flac").write_bytes(b"fLaC, but nothing else")
    ended = evaluate(place, *MINI, "--json", home=tmp_path)
    assert ended.exit == Exit.FAILED
    (run,) = ended.report["runs"]
    assert (run["clips"], run["wer"], [one["id"] for one in run["failures"]]) == (2, 0.0, ["103-7-0000"])
    assert str(place) in run["failures"][0]["message"]


def test_recordings_are_read_as_transcribe_reads_them(tmp_path: Path) -> None:
    """Other rates and formats, a voice on one of two channels, a part of a recording."""
    sample = samples()[2]
    wave = sample.wave()
    place = tmp_path / "data"
    place.mkdir()
    soundfile.write(place / "opposite.wav", np.stack((wave, -wave), axis=1), SAMPLE_RATE)
    soundfile.write(place / "right.ogg", np.stack((np.zeros_like(wave), wave), axis=1), SAMPLE_RATE)
    soundfile.write(place / "fast.flac", wave.repeat(3), 3 * SAMPLE_RATE)
    soundfile.write(place / "late.wav", np.concatenate((samples()[0].wave(), wave)), SAMPLE_RATE)
    offset = len(samples()[0].wave()) / SAMPLE_RATE
    lines = [{"audio": name, "text": sample.said} for name in ("opposite.wav", "right.ogg", "fast.flac")]
    lines.append({"audio": "late.wav", "text": sample.said, "offset": offset})  # type: ignore[dict-item]
    (place / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    ended = evaluate(place, *MINI, "--json", home=tmp_path)
    assert ended.exit == Exit.DONE
    (run,) = ended.report["runs"]
    assert (run["clips"], run["wer"]) == (4, 0.0)
    assert run["audio_s"] == pytest.approx(4 * len(wave) / SAMPLE_RATE, abs=0.1)


def test_a_part_that_a_recording_does_not_have_is_refused() -> None:
    wave = np.zeros(2 * SAMPLE_RATE, np.float32)
    assert len(part_of(wave, Clip("a", Path("a.flac"), "", begin_s=0.5, duration_s=1.55))) == 1.5 * SAMPLE_RATE
    for begin_s, duration_s in ((1e308, 1.0), (1e308, None), (0.5, 1e308), (0.5, 2.0), (2.0, None)):
        with pytest.raises(FileFault, match=r"a\.flac has 2\.0 s, and the clip (begins|ends) at"):
            part_of(wave, Clip("a", Path("a.flac"), "", begin_s=begin_s, duration_s=duration_s))


def test_audio_that_two_pieces_share_is_taken_once() -> None:
    blocks = np.split(np.arange(20, dtype=np.float32), [5, 7])
    for shared in (-3, 0, 3, 5, 6, 20, 30):
        assert np.concatenate(list(without_beginning(blocks, shared))).tolist() == list(range(max(0, shared), 20))


@pytest.mark.parametrize(
    ("missing", "given", "package"),
    [
        ("jiwer", (), "jiwer"),
        ("whisper_normalizer", (), "whisper-normalizer"),
        ("onnx_asr", ("--engine", "onnx-asr"), "onnx-asr"),
        ("faster_whisper", ("--engine", "faster-whisper"), "faster-whisper"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    tmp_path: Path, missing: str, given: tuple[str, ...], package: str
) -> None:
    place = librispeech(tmp_path / "data", samples()[:1])
    ended = evaluate(place, *MINI, *given, home=tmp_path, before=WITHOUT.format(names={missing}))
    assert (ended.exit, ended.out) == (Exit.FAILED, "")
    assert f"needs the package {package}, which is not installed" in ended.err
    assert "-m pip install" in ended.err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "Name a DIRECTORY"),
        (("data", "--gate", "0.1"), "--gate compares variants"),
        (("data", "--gate", "-1"), "is not a number of percentage points"),
        (("data", "--snr", "20,loud"), "'loud' is not a ratio"),
        (("data", "--snr", "20,20.0"), "'20,20.0' has a ratio twice"),
        (("data", "--noise", "babble"), "add --snr"),
        (("data", "--compare", "model.fallback=off,whisper"), "is no setting that changes how recordings"),
        (("data", "--compare", "model.unload_after_s=0,1"), "is no setting that changes how recordings"),
        (("data", "--compare", "precision"), "write KEY=VALUE,VALUE"),
        (("data", "--output", "report.txt"), "its suffix must be .json, .md, .svg"),
        (("data", "--json", "--format", "svg"), "exclude each other"),
        (("data", "--output", "report.json/"), "'report.json/' is the name of a folder"),
    ],
)
def test_usage_errors(tmp_path: Path, given: tuple[str, ...], message: str) -> None:
    ended = evaluate(*given, home=tmp_path)
    assert (ended.exit, ended.out) == (Exit.USAGE, "")
    assert message in ended.err


def test_a_report_is_not_replaced_without_force(tmp_path: Path) -> None:
    file = tmp_path / "report.md"
    file.write_text("mine")
    place = librispeech(tmp_path / "data", samples()[:1])
    ended = evaluate(place, *MINI, "--output", file, home=tmp_path)
    assert ended.exit == Exit.FAILED
    assert "add --force" in ended.err
    assert file.read_text() == "mine"
    assert evaluate(place, *MINI, "--output", file, "--force", home=tmp_path).exit == Exit.DONE
    assert file.read_text() != "mine"


ODD = "b\udcff\ud800\x1b]0;title\x07\n"
"""A name with a byte that is no UTF-8, a surrogate, an escape code of terminals and a line break."""


def test_any_name_is_measured_and_takes_one_line(tmp_path: Path) -> None:
    place = tmp_path / "data"
    place.mkdir()
    undecodable = os.fsencode(place) + b"/a\xff\x1b[31m\n.flac"
    shutil.copy(samples()[0].path, os.fsdecode(undecodable))
    rows = [
        {"audio": os.fsdecode(undecodable.rpartition(b"/")[2]), "text": samples()[0].said},
        {"audio": str(samples()[1].path), "text": f"{samples()[1].said} more", "id": ODD, "speaker": ODD},
        {"audio": str(samples()[2].path), "text": f"{ODD} {samples()[2].said}"},
        {"audio": ODD, "text": "missing"},
    ]
    (place / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    files = [tmp_path / name for name in ("report.json", "report.md", "plot.svg")]
    outputs = [argument for file in files for argument in ("--output", file)]
    refused = evaluate(place, *MINI, home=tmp_path)
    assert (refused.exit, refused.err.count("\n"), "\x1b" in refused.err) == (Exit.FAILED, 1, False)
    ended = evaluate(place, *MINI, *outputs, "--skip-faulty", "--snr", "20", home=tmp_path)
    assert (ended.exit, ended.err) == (Exit.DONE, "")
    report = json.loads(files[0].read_text())
    assert [run["clips"] for run in report["runs"]] == [3, 3]
    assert ODD in {one["id"] for one in report["runs"][0]["utterances"]}
    for text in (ended.out, *(file.read_text() for file in files[1:])):
        assert all(map(is_visible, text.replace("\n", "")))
    assert "| b\\xff\\ud800\\x1b]0;title\\x07\\n |" in files[1].read_text()


def test_a_report_that_cannot_be_written_costs_no_figure(tmp_path: Path) -> None:
    """The second file would be inside the first one; this shows only when it is written."""
    place = librispeech(tmp_path / "data", samples()[:2])
    for given, printed in (((), "WER %"), (("--tune",), "hangover_ms = ")):
        folder = tmp_path / str(len(given))
        files = folder / "r.json", folder / "r.json" / "r.md", folder / "ok.md"
        outputs = [argument for file in files for argument in ("--output", file)]
        ended = evaluate(place, *MINI, *given, *outputs, home=tmp_path)
        assert ended.exit == Exit.FAILED
        assert ended.err == f"coldvoxctl: {files[1]} cannot be written: {files[0]} is not a folder.\n"
        assert json.loads(files[0].read_text())["schema"]
        assert printed in ended.out
        assert printed in files[2].read_text()


def test_onnx_asr_beside(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data", samples()[:2])
    ended = evaluate(place, *MINI, "--engine", "onnx-asr", "--json", home=tmp_path, before=NO_SOCKETS)
    assert ended.exit == Exit.DONE
    own, peer = ended.report["runs"]
    assert (own["engine"], peer["engine"], peer["provider"]) == ("coldvoxd", "onnx-asr", "cpu")
    assert (own["wer"], peer["wer"], peer["clips"]) == (0.0, 0.0, 2)


@pytest.mark.parametrize("write", [write_rnnt, write_ctc])
def test_onnx_asr_opens_each_kind_of_model(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    place = librispeech(tmp_path / "data", samples()[:1])
    ended = evaluate(place, "--model", write(tmp_path / "model"), "--engine", "onnx-asr", "--json", home=tmp_path)
    assert ended.exit == Exit.DONE, ended.err
    assert [run["wer"] for run in ended.report["runs"]] == [0.0, 0.0]


@pytest.mark.parametrize("engine", ["onnx-asr", "sherpa-onnx", "faster-whisper"])
def test_a_directory_without_a_model_of_another_engine_is_refused_in_a_sentence(tmp_path: Path, engine: str) -> None:
    place = librispeech(tmp_path / "data", samples()[:1])
    empty = tmp_path / "empty"
    empty.mkdir()
    ended = evaluate(place, *MINI, "--engine", f"{engine}={empty}", home=tmp_path)
    assert ended.exit not in {Exit.DONE, Exit.USAGE}
    assert str(empty) in ended.err or "is not installed" in ended.err
    assert ended.err.count("\n") == 1


def test_settings_are_proposed_and_nothing_is_changed(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data", samples()[:2])
    files = tmp_path / "tuning.json", tmp_path / "tuning.md"
    ended = evaluate(place, *MINI, "--tune", "-o", files[0], "-o", files[1], home=tmp_path, before=NO_SOCKETS)
    assert (ended.exit, ended.err) == (Exit.DONE, "")
    report = json.loads(files[0].read_text())
    assert (report["schema"], report["model"], report["sessions"]) == ("coldvoxd-tuning/1", "mini", 4)
    assert [row["value"] for row in report["hangover"]] == ["200", "300", "400", "500", "800"]
    assert {row["value"] for row in report["seam"]} == {"off", "state", "window"}
    page = files[1].read_text()
    lines = page.partition("```toml coldvoxd.toml\n")[2].partition("```")[0]
    assert lines in ended.out + "\n"
    settings = tmp_path / "coldvoxd.toml"
    settings.write_text(lines)
    assert load(settings, {}).endpoint.hangover_ms == report["proposed"]["hangover_ms"]
    assert not (tmp_path / ".config").exists()
    for text in (page, ended.out, files[0].read_text()):
        assert samples()[0].said not in text


def test_settings_cannot_be_proposed_from_one_recording(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data", samples()[:1])
    ended = evaluate(place, *MINI, "--tune", home=tmp_path)
    assert ended.exit == Exit.FAILED
    assert "Words were recognized in 1 of 1 recordings; --tune needs two" in ended.err
    ended = evaluate(place, *MINI, "--tune", "--compare", "precision=fp32,int8", home=tmp_path)
    assert ended.exit == Exit.USAGE
    assert "--tune measures values of its own" in ended.err


def test_progress_is_shown_to_a_terminal_and_cleared(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data", samples()[:2])
    terminal = Terminal()
    command = [sys.executable, "-m", "coldvoxd.cli.main", "evaluate", str(place), *MINI]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal.its, check=False)
    shown = terminal.written()
    assert done.returncode == Exit.DONE
    assert "loading coldvoxd 0 %" in shown
    assert "coldvoxd, clean 50 %" in shown
    assert shown.endswith("\r\033[K")
