"""The fallback engine whisper, with OpenAI's real weights of tiny.en."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import InputFault, ModelInvalid, ModelMissing, ProviderFault, Stopped
from coldvoxd.core.values import SAMPLE_RATE, EndReason, Precision, Utterance
from coldvoxd.engines.whisper import ENGINE
from coldvoxd.engines.whisper.ggml_file import read_ggml
from coldvoxd.engines.whisper.recognizer import WhisperRecognizer
from coldvoxd.engines.whisper.words import WhisperToken, words_of
from tests.support.models.fallback import tiny_en
from tests.support.sound.speech import Sample, samples

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def whisper() -> Iterator[WhisperRecognizer]:
    recognizer = WhisperRecognizer.open(tiny_en(), threads=1)
    yield recognizer
    recognizer.close()


def spoken(sample: Sample) -> Utterance:
    return Utterance(1, 1, 0, sample.wave(), EndReason.ENDPOINT)


def plain(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def named(name: str) -> Sample:
    return next(sample for sample in samples() if name in sample.name)


def test_speech_becomes_text_with_words_and_their_times(whisper: WhisperRecognizer) -> None:
    utterance = spoken(named("open-the-file"))
    heard = whisper.recognize(utterance)
    assert plain(heard.text) == ["open", "the", "file"]
    assert [word.text for word in heard.words] == heard.text.split()
    assert 0.5 < heard.confidence <= 1
    assert all(0 <= word.start_s <= word.end_s <= utterance.duration_s for word in heard.words)
    starts = [word.start_s for word in heard.words]
    assert starts == sorted(starts)
    assert heard.words[0].start_s < 0.6 < heard.words[-1].end_s
    assert len(heard.tokens) >= len(heard.words)


def test_the_same_audio_gives_the_same_text(whisper: WhisperRecognizer) -> None:
    utterance = spoken(named("hello-anna"))
    first, second = whisper.recognize(utterance), whisper.recognize(utterance)
    assert first.text
    assert (first.text, first.words) == (second.text, second.words)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("where-is-the-old-report", "Where is the old report?"),
        ("we-will-read-this-report", "We will read this report on Friday."),
        ("can-you-print-the-page", "Can you print the page?"),
    ],
)
def test_the_text_is_that_of_faster_whisper_on_the_original_files(
    whisper: WhisperRecognizer, name: str, text: str
) -> None:
    """All texts of both were compared by contrib/trials/whisper_equality.py; these do not depend on the last digits."""
    assert whisper.recognize(spoken(named(name))).text == text


def test_what_is_no_speech_gives_no_text(whisper: WhisperRecognizer) -> None:
    utterance = spoken(named("open-the-file"))
    for wave in (np.zeros(SAMPLE_RATE, np.float32), np.ones(100, np.float32), np.zeros(0, np.float32)):
        assert whisper.recognize(replace(utterance, samples=wave)).text == ""
    with pytest.raises(InputFault, match="NaN"):
        whisper.recognize(replace(utterance, samples=np.full(SAMPLE_RATE, np.nan, np.float32)))
    with pytest.raises(InputFault, match="400 s"):
        whisper.recognize(replace(utterance, samples=np.ones(401 * SAMPLE_RATE, np.float32)))


def test_a_cancelled_run_ends_with_stopped_and_the_next_one_is_right(whisper: WhisperRecognizer) -> None:
    utterance = spoken(named("open-the-file"))
    cancelled = CancellationToken()
    cancelled.ask()
    with pytest.raises(Stopped):
        whisper.recognize(utterance, cancelled)
    during = CancellationToken()
    threading.Timer(0.05, during.ask).start()  # the encoder takes longer
    with pytest.raises(Stopped):
        whisper.recognize(utterance, during)
    assert plain(whisper.recognize(utterance, CancellationToken()).text) == ["open", "the", "file"]


def test_other_threads_run_while_it_loads_and_recognizes() -> None:
    """A thread that needs the interpreter ticks throughout: capture has no gap."""
    longest_s = 0.0
    done = threading.Event()

    def tick() -> None:
        nonlocal longest_s
        before_s = time.thread_time()
        ticks = 0
        while not done.wait(0.005):
            ticks += 1
        counted.append(ticks)
        longest_s = time.thread_time() - before_s

    counted: list[int] = []
    thread = threading.Thread(target=tick)
    thread.start()
    began_s = time.monotonic()
    recognizer = WhisperRecognizer.open(tiny_en(), threads=1)
    recognizer.recognize(spoken(named("open-the-file")))
    took_s = time.monotonic() - began_s
    done.set()
    thread.join()
    recognizer.close()
    assert counted[0] > 10, f"{counted[0]} ticks in {took_s:.1f} s"


def test_a_closed_recognizer_refuses() -> None:
    recognizer = WhisperRecognizer.open(tiny_en(), threads=1)
    recognizer.close()
    recognizer.close()
    with pytest.raises(ProviderFault, match="closed"):
        recognizer.recognize(spoken(named("open-the-file")))


def test_what_the_engine_is(whisper: WhisperRecognizer) -> None:
    assert whisper.provider == "CPUExecutionProvider"
    assert whisper.precision is Precision.FP16
    assert whisper.languages == ("en",)
    assert whisper.features_size == 0
    assert not ENGINE.stops_quickly


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"GGUF" + bytes(100), "GGUF"),
        (b"PK\x03\x04" + bytes(100), "PyTorch"),
        (b"\x06\0\0\0\x0c\0WhisperSpec\0" + bytes(100), "CTranslate2"),
        (b"RIFF" + bytes(100), "WAV"),
        (b"", "truncated"),
        (b"anything else", "not a model of whisper.cpp"),
        (b"lmgg" + bytes(3), "truncated"),
        (b"lmgg" + bytes(100), "damaged"),
    ],
)
def test_a_wrong_file_is_named_with_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "model.bin"
    file.write_bytes(content)
    with pytest.raises(ModelInvalid, match=said) as raised:
        ENGINE.open(file, 0)
    assert str(file) in str(raised.value)


def test_a_path_that_is_missing_or_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"no file .*nothing\.bin.*ggml-base\.bin"):
        ENGINE.open(tmp_path / "nothing.bin", 0)
    with pytest.raises(ModelInvalid, match="is a directory"):
        ENGINE.open(tmp_path, 0)


def test_weights_in_fp32_are_refused_because_whisper_cpp_ends_the_process_with_them(tmp_path: Path) -> None:
    file = tmp_path / "model.bin"
    content = bytearray(tiny_en().read_bytes())
    content[44:48] = bytes(4)
    file.write_bytes(content)
    with pytest.raises(ModelInvalid, match="fp32"):
        ENGINE.open(file, 0)


@pytest.mark.parametrize("missing", [1, 5_000_000, 70_000_000])
def test_a_truncated_file_is_refused_although_whisper_cpp_would_load_it(tmp_path: Path, missing: int) -> None:
    file = tmp_path / "model.bin"
    content = tiny_en().read_bytes()
    file.write_bytes(content[:-missing])
    with pytest.raises(ModelInvalid, match=r"truncated|tensors of"):
        read_ggml(file)
    file.write_bytes(content)
    assert read_ggml(file).size == len(content)


def test_a_file_that_only_whisper_cpp_refuses_does_not_end_the_process(tmp_path: Path) -> None:
    """whisper.cpp returns a null context, which the binding passes on; a tensor of another name does that."""
    file = tmp_path / "model.bin"
    file.write_bytes(tiny_en().read_bytes().replace(b"encoder.ln_post.bias", b"encoder.ln_past.bias"))
    with pytest.raises(ModelInvalid, match=r"whisper.cpp cannot load .*unknown tensor"):
        ENGINE.open(file, 0)


def test_the_interpreter_ends_normally_with_an_open_model() -> None:
    """The binding keeps a function beyond the end of the interpreter, which would abort the process."""
    code = (
        "import sys; from pathlib import Path; from coldvoxd.engines.whisper import ENGINE; "
        "kept = ENGINE.open(Path(sys.argv[1]), 1); print('open')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tiny_en())], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "open\n", "")


def test_words_are_made_of_tokens() -> None:
    tokens = [
        WhisperToken(1, b" Gr", 10, 20, 0.5),
        WhisperToken(2, b"\xc3", 20, 25, 0.5),
        WhisperToken(3, b"\xbc\xc3\x9fe", 25, 30, 0.5),
        WhisperToken(4, b",", 30, 90, 0.9),
        WhisperToken(5, b" dich", 28, 400, 1.5),
        WhisperToken(6, b" ", 400, 400, 0.1),
    ]
    grusse, dich = words_of(tokens, 2.0)
    assert (grusse.text, grusse.start_s, grusse.end_s) == ("Grüße,", 0.1, 0.3)
    assert (dich.text, dich.start_s, dich.end_s, dich.confidence) == ("dich", 0.28, 2.0, 1.0)
    assert words_of([], 2.0) == ()
