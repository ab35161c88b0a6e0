"""coldvoxctl doctor --first-run with the bundled model: real processes, real speech, a report that names no one."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.core.golden_verdict import words
from coldvoxd.core.values import Precision
from coldvoxd.doctor.redaction import Person
from coldvoxd.first_run.report import without_secrets
from coldvoxd.first_run.speech import page, recordings
from coldvoxd.golden.clip import SPOKEN
from coldvoxd.models.directories import bundled_directory
from coldvoxd.models.manifest import Manifest, identify, write_manifest
from coldvoxd.virtual.client import command
from tests.component.cli.conftest import Terminal
from tests.support.evaluation import plain
from tests.support.eventually import eventually_blocking
from tests.support.first_run import FILES, children_of, copy_of_mini, report_in, start
from tests.support.sound.speech import samples

pytestmark = pytest.mark.timeout(900)
LIMIT_S = 880
MINI = ("--model", "mini")
WITHOUT_ONNX_ASR = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "onnx_asr":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


def listens(microphone: Path) -> bool:
    """Return whether the virtual microphone takes commands."""
    try:
        return "open=yes" in command(microphone, "STATUS")
    except OSError:
        return False


def said_in(text: str) -> list[str]:
    """Return the sentences of the shipped recordings that occur in a text, in any spelling."""
    spelled = " ".join(words(text))
    return [said for said in (SPOKEN, page(), *(one.said for one in recordings())) if " ".join(words(said)) in spelled]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A run with time for everything, of a copy of the model that a manifest knows, below a home with a name in it."""
    home = tmp_path_factory.mktemp("karenina")
    model = copy_of_mini(home / "models of karenina")
    write_manifest(model, Manifest("us/mini", "0" * 40, {name: identify(model / name) for name in FILES}))
    process = start("--model", model, "--minutes", "10", "--output", "report.md", home=home)
    out, err = process.communicate(timeout=LIMIT_S)
    return subprocess.CompletedProcess([], process.returncode, out, err), home


@pytest.mark.heavy
def test_everything_is_measured_and_written(whole: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    ended, home = whole
    report, markdown = report_in(home, "report")
    assert ended.returncode == Exit.DONE, ended.stdout
    assert (report["understands"], report["interrupted"]) == (True, False)
    assert {one["recorded"] for one in report["files"]["files"]} == {"agrees"}
    (variant,) = report["variants"]
    assert variant["speech"]["golden_errors"] == 0
    assert variant["speech"]["errors"] <= 0.05 * variant["speech"]["words"]
    assert variant["speed"]["runs"] > 1
    assert variant["speed"]["p95_s"] >= variant["speed"]["p50_s"] > 0
    assert variant["speed"]["peak_mib"] >= variant["load"]["loaded_mib"] > 20
    assert report["peer"]["other_tokens"] == 0
    assert report["partials"]["final_same"] == report["partials"]["utterances"] > 0
    assert {one["status"] for one in report["steps"]} <= {"done", "part"}
    for place in ("Speed", "Memory", "Words", "Hangover", "Seam", "Dither", "For the maintainers", "Proposed settings"):
        assert f"## {place}" in markdown
    for one in report["proposals"]:
        assert one["command"] in ended.stdout


@pytest.mark.heavy
def test_the_report_names_no_one_and_has_no_spoken_text(whole: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    _, home = whole
    report, markdown = report_in(home, "report")
    for text in (json.dumps(report), markdown):
        assert str(home) not in text
        assert socket.gethostname() not in text
        assert said_in(text) == []
    assert sorted(path.name for path in home.rglob("*") if path.suffix in {".wav", ".flac", ".txt"}) == ["vocab.txt"]


@pytest.mark.heavy
def test_without_a_terminal_there_are_plain_lines(whole: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    ended, _ = whole
    assert "\r" not in ended.stderr
    assert "\033" not in ended.stdout + ended.stderr
    assert "coldvoxctl: 0 %: files; at most " in ended.stderr
    assert "of memory" in ended.stderr
    assert ended.stdout.startswith("ok    files")


Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start the command; it is killed with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str | Path, **options: Any) -> "subprocess.Popen[str]":
        started.append(start(*arguments, **options))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.heavy
def test_a_damaged_file_a_budget_of_seconds_and_no_onnx_asr(begin: Begin, tmp_path: Path) -> None:
    """The hash is wrong; most of the rest does not fit into three seconds, and is named."""
    model = copy_of_mini(tmp_path / "model")
    write_manifest(model, Manifest("us/mini", "0" * 40, {name: identify(model / name) for name in FILES}))
    (model / "config.json").write_text((model / "config.json").read_text() + "\n")
    process = begin("--model", model, "--minutes", "0.05", "--json", home=tmp_path, before=WITHOUT_ONNX_ASR)
    out, err = process.communicate(timeout=LIMIT_S)
    *steps, done = map(json.loads, out.splitlines())
    assert (process.returncode, err) == (Exit.FAILED, "")
    assert steps[0]["verdict"] == "fail"
    assert "config.json: size or hash is not the known one" in steps[0]["text"]
    report, _ = report_in(tmp_path)
    assert done == {"event": "done", "files": ["coldvoxd-first-run.md", "coldvoxd-first-run.json"], "report": report}
    assert "left out" in {one["status"] for one in report["steps"]}
    assert {one["message"] for one in report["steps"] if one["status"] == "left out"} >= {"no time was left"}
    assert report["peer"] == {}
    assert "peer" not in {one["step"] for one in report["steps"]}


def test_a_precision_with_a_truncated_file_is_a_failure(begin: Begin, tmp_path: Path) -> None:
    model = copy_of_mini(tmp_path / "model")
    for graph in bundled_directory().glob("*.int8.onnx"):
        shutil.copy(graph, model)
    missing = (model / "encoder-model.onnx").stat().st_size - 3_000_000
    os.truncate(model / "encoder-model.onnx", 3_000_000)
    process = begin("--model", model, "--minutes", "0.05", "--json", home=tmp_path)
    out, err = process.communicate(timeout=LIMIT_S)
    files, *_, done = map(json.loads, out.splitlines())
    assert (process.returncode, err, files["part"], files["verdict"]) == (Exit.FAILED, "", "files", "fail")
    assert files["text"].startswith("fp32: ")
    told = re.search(
        r"encoder-model.onnx is truncated or damaged: (\d+) bytes are missing. It is left out", files["text"]
    )
    assert told, files["text"]
    assert missing - 100 < int(told[1]) <= missing, "up to the end of the last tensor"
    assert "issue" not in files["remedy"]
    assert {one["variant"] for one in done["report"]["steps"] if one["variant"]} == {"int8 on cpu"}


def first_line(process: "subprocess.Popen[str]", key: str, value: str) -> dict[str, Any]:
    """Return the first line of a step that has this value, after those before it."""
    assert process.stdout is not None
    for line in process.stdout:
        found = json.loads(line)
        assert isinstance(found, dict)
        if found.get(key) == value:
            return found
    raise AssertionError(f"no {value}")


@pytest.mark.heavy
def test_an_interrupt_keeps_what_was_measured(begin: Begin, tmp_path: Path) -> None:
    process = begin(*MINI, "--minutes", "30", "--json", home=tmp_path)
    first_line(process, "step", "speech")
    (worker,) = children_of(process.pid)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == Exit.INTERRUPTED
    report, markdown = report_in(tmp_path)
    assert report["interrupted"] is True
    assert report["variants"][0]["speech"]["golden_errors"] == 0
    assert "left out" not in {one["status"] for one in report["steps"]}
    assert len(report["steps"]) < 12
    assert "**interrupted**" in markdown
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.heavy
def test_a_process_that_dies_takes_only_its_variant_along(begin: Begin, tmp_path: Path) -> None:
    """As when a driver crashes, or the kernel lacks memory. A command that is killed itself leaves a report too."""
    process = begin(*MINI, "--minutes", "30", "--json", home=tmp_path)
    first_line(process, "step", "speech")
    (worker,) = children_of(process.pid)
    os.kill(worker, signal.SIGKILL)
    lost = first_line(process, "status", "failed")
    assert (lost["verdict"], lost["variant"]) == ("fail", "fp32 on cpu")
    assert "killed" in lost["text"]
    other = first_line(process, "step", "speech")
    assert (other["variant"], other["verdict"]) == ("int8 on cpu", "ok")
    (worker,) = children_of(process.pid)
    process.kill()
    process.communicate(timeout=LIMIT_S)
    report, _ = report_in(tmp_path)
    assert report["interrupted"] is True
    assert report["variants"][1]["speech"]["golden_errors"] == 0
    eventually_blocking(lambda: not Path(f"/proc/{worker}").exists(), what="the end of the process that measures")


@pytest.mark.heavy
def test_a_process_that_hangs_is_ended_after_its_time(begin: Begin, tmp_path: Path) -> None:
    """As in a driver, where nothing can interrupt it."""
    process = begin(*MINI, "--minutes", "0.5", "--json", home=tmp_path)
    first_line(process, "step", "load")
    (worker,) = children_of(process.pid)
    os.kill(worker, signal.SIGSTOP)
    lost = first_line(process, "status", "failed")
    assert lost["variant"] == "fp32 on cpu"
    assert "it took longer than" in lost["text"]
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == Exit.FAILED
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.heavy
def test_weights_that_do_not_understand_speech(begin: Begin, tmp_path: Path) -> None:
    """Their texts are noise, because the vocabulary is in another order. Speed and memory are measured nevertheless."""
    model = copy_of_mini(tmp_path / "model")
    *pieces, blank = (line.rpartition(" ")[0] for line in (model / "vocab.txt").read_text().splitlines())
    pieces.reverse()
    lines = [f"{piece} {number}\n" for number, piece in enumerate([*pieces, blank])]
    (model / "vocab.txt").write_text("".join(lines))
    process = begin("--model", model, "--minutes", "3", home=tmp_path)
    out, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == Exit.FAILED
    assert "the golden clip's text is wrong (" in out
    assert "these weights do not understand speech" in out
    report, markdown = report_in(tmp_path)
    assert (report["understands"], report["proposals"], report["pauses"]) == (False, [], {})
    assert report["variants"][0]["speed"]["p50_s"] > 0
    left_out = {one["step"] for one in report["steps"] if one["message"] == "these weights do not understand speech"}
    assert left_out == {"lengths", "pauses", "silence", "partials", "peer"}
    assert "**These weights do not understand speech**" in markdown


@pytest.mark.heavy
def test_a_terminal_has_a_question_and_a_bar(begin: Begin, tmp_path: Path) -> None:
    terminal = Terminal()
    keys, ours = os.openpty()
    process = begin(*MINI, "--minutes", "0.05", home=tmp_path, stdin=ours, stderr=terminal.its, before=WITHOUT_ONNX_ASR)
    os.write(keys, b"n\n")
    process.communicate(timeout=LIMIT_S)
    os.close(ours)
    os.close(keys)
    shown = terminal.written()
    assert "Would you read a page aloud?" in shown
    assert "\r\033[Kfiles  [----" in shown


@pytest.mark.heavy
@pytest.mark.parametrize("asked", [False, True])
def test_a_page_that_is_read(begin: Begin, tmp_path: Path, asked: bool) -> None:
    """The words come from a virtual microphone: other ones than the page's, so nearly all of them are errors.

    The recording ends after a silence, and on a terminal, where it is asked for, with Enter.
    """
    microphone = tmp_path / "microphone"
    settings = tmp_path / ".config/coldvoxd/coldvoxd.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[microphone]\ndevice = "virtual:{microphone}"\n')
    keys, its = os.openpty()
    terminal = Terminal()
    options = {"stdin": its, "stderr": terminal.its} if asked else {}
    os.write(keys, b"y\n\n")
    process = begin(
        *MINI, "--minutes", "0.5", *([] if asked else ["--read"]), home=tmp_path, before=WITHOUT_ONNX_ASR, **options
    )
    eventually_blocking(lambda: listens(microphone), what="the virtual microphone")
    for sample in samples()[:3]:
        command(microphone, f"SPEAK {sample.path}")
    os.write(keys, b"\n")
    _, err = process.communicate(timeout=LIMIT_S)
    os.close(keys)
    os.close(its)
    shown = terminal.written()
    assert " ".join(page().split()) in " ".join((shown if asked else err).split())
    report, markdown = report_in(tmp_path)
    found = report["variants"][0]["page"]
    now = next(one for one in found["hangover"] if one["value"] == 500)
    assert (found["now_ms"], now["words"]) == (500, len(words(page())))
    assert 0 < now["errors"] <= now["words"]
    assert found["audio_s"] > sum(len(sample.wave()) for sample in samples()[:3]) / 16_000
    assert "## The page that was read" in markdown
    for text in (json.dumps(report), markdown):
        assert not [sample.said for sample in samples()[:3] if plain(sample.said) in text or sample.said in text]
    assert not list(tmp_path.rglob("*.wav"))


def test_memory_that_is_short_is_named_before_anything_is_loaded(begin: Begin, tmp_path: Path) -> None:
    model = copy_of_mini(tmp_path / "model")
    encoder = onnx.load(model / "encoder-model.onnx")
    onnx.save(encoder, model / "encoder-model.onnx", save_as_external_data=True, location="encoder-model.onnx.data")
    os.truncate(model / "encoder-model.onnx.data", 1 << 40)  # a file with a hole
    process = begin("--model", model, home=tmp_path)
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (Exit.NOT_READY, "")
    assert "There is not enough memory: loading the model takes up to 1265" in err
    assert "coldvoxctl: There is" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--report", "x.md"), "leave out --report"),
        (("--minutes", "0"), "not a number of minutes"),
        (("--output", "no/report.md"), "cannot be written"),
        (("--output", "mine.md"), "is no report of a first run"),
        (("--output", "notes/"), "notes/coldvoxd-first-run.md exists, and is no report of a first run"),
    ],
)
def test_wrong_arguments_end_it_at_once(begin: Begin, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "mine.md").write_text("# My diary\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "coldvoxd-first-run.md").write_text("# My notes\n")
    process = begin(*MINI, *arguments, home=tmp_path)
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (Exit.USAGE, "")
    assert message in err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["mine.md"]
    assert (tmp_path / "mine.md").read_text() == "# My diary\n"
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["coldvoxd-first-run.md"]


def test_a_model_that_is_missing(begin: Begin, tmp_path: Path) -> None:
    process = begin(home=tmp_path)
    out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (Exit.NOT_READY, "")
    assert "coldvoxctl model pull" in err
    assert not list(tmp_path.glob("coldvoxd-first-run*"))


ANNA = Person(home=Path("/home/anna"), user="anna", real_name="Anna Karenina", hosts=("peters.lan", "peters"))
PLANTED = {
    "model": "/home/anna/models/anna-parakeet",
    "steps": [{"message": "no response of peters.lan (192.0.2.17)"}],
    "findings": [
        {"text": "GPU-6f1a1c7e-1b2c-4d3e-8f90-0123456789ab failed", "remedy": "ask karenina@example.org"},
        {"text": "serial number: 4C530001", "remedy": "alsa_input.usb-Blue_Yeti_REV8_1234567-00.analog-stereo"},
    ],
    "device": "/dev/disk/by-id/nvme-Samsung_SSD_S4EWNX0",
    "count": 7,
}


def test_planted_secrets_are_not_in_the_report() -> None:
    found = without_secrets(PLANTED, ANNA)
    text = json.dumps(found).lower()
    for secret in ("anna", "karenina", "peters", "192.0.2", "6f1a1c7e", "4c530001", "1234567", "s4ewnx0"):
        assert secret not in text
    assert found["count"] == 7
    assert found["model"] == "~/models/USER-parakeet"


def test_precisions_are_those_on_the_disk(tmp_path: Path) -> None:
    from coldvoxd.first_run.model_on_disk import precisions_of

    assert [*precisions_of(str(copy_of_mini(tmp_path / "model")))] == [Precision.FP32]
    assert [*precisions_of("mini")] == [Precision.FP32, Precision.INT8]
