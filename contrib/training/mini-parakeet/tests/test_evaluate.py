from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mini_parakeet.corpus import SAMPLE_RATE, Clip, Samples
from mini_parakeet.evaluate import (
    Coldvox,
    Recognized,
    as_markdown,
    noisy_rows,
    silence_rows,
    ten_minutes_of_non_speech,
    threshold_rows,
    transcripts_row,
)
from mini_parakeet.scoring import word_errors


@dataclass
class Parrot:
    """Says the same to everything."""

    answer: Recognized
    name: str = "parrot"
    heard_samples: int = 0

    def recognize(self, samples: Samples, rate: int = SAMPLE_RATE) -> Recognized:
        self.heard_samples += len(samples)
        return self.answer

    def recognize_all(self, clips: Iterable[Samples], rate: int = SAMPLE_RATE) -> list[Recognized]:
        return [self.recognize(clip, rate) for clip in clips]


CLIP = Clip(np.ones(1600, np.float32) * 0.1, "Open the file.", "a:b")


@pytest.mark.parametrize(
    ("recognized", "reference", "errors"),
    [("a b c", "a b c", 0), ("a c", "a b c", 1), ("a x b c", "a b c", 1), ("", "a b", 2), ("Open it", "open it.", 2)],
)
def test_word_errors_count_case_and_punctuation(recognized: str, reference: str, errors: int) -> None:
    assert word_errors(recognized, reference) == errors


def test_a_perfect_recognizer_scores_zero_and_a_deaf_one_a_hundred() -> None:
    pairs = [(CLIP.samples, CLIP.text)] * 3
    assert transcripts_row("x", Parrot(Recognized(CLIP.text, 1.0)), pairs).value == 0.0
    assert transcripts_row("x", Parrot(Recognized("", 1.0)), pairs).value == 100.0


def test_silence_is_tried_in_all_41_lengths_on_both_sides() -> None:
    parrot = Parrot(Recognized(CLIP.text, 1.0))
    rows = list(silence_rows(parrot, [CLIP]))
    assert [row.value for row in rows] == [0.0, 0.0]
    assert parrot.heard_samples == 2 * sum(1600 + 800 * step for step in range(41))


def test_words_under_the_threshold_are_not_counted_as_invented() -> None:
    rows = {row.name: row.value for row in threshold_rows(Parrot(Recognized("Two words.", 0.65)), [(CLIP.samples, "")])}
    assert rows["ten minutes of non-speech, threshold 0.6: words invented"] == 300
    assert rows["ten minutes of non-speech, threshold 0.7: words invented"] == 0
    assert rows["  utterances lost at threshold 0.7"] == 100.0


def test_coldvoxctl_is_asked_for_files_and_its_refusals_count_as_nothing(tmp_path: Path) -> None:
    script = tmp_path / "coldvoxctl.py"
    script.write_text(
        "import json, sys\n"
        "files = sys.argv[sys.argv.index('--precision') + 2 :]\n"
        "for file in files[1:]:\n"
        "    print(json.dumps({'file': file, 'text': 'Seven.', 'confidence': 0.9}))\n"
    )
    recognizer = Coldvox(tmp_path, "int8", (sys.executable, str(script)))
    assert [result.text for result in recognizer.recognize_all([CLIP.samples] * 3)] == ["", "Seven.", "Seven."]


def test_non_speech_lasts_ten_minutes_and_is_always_the_same() -> None:
    pieces = ten_minutes_of_non_speech()
    assert sum(map(len, pieces)) == 600 * SAMPLE_RATE
    assert np.array_equal(pieces[7], ten_minutes_of_non_speech()[7])


def test_the_table_has_a_column_for_each_recognizer() -> None:
    rows = list(noisy_rows(Parrot(Recognized("Open the file.", 1.0)), [CLIP]))
    table = as_markdown({"one": rows, "two": rows}).splitlines()
    assert table[0] == "| set | goal | one | two |"
    assert table[2].endswith("| 0.0 % WER | 0.0 % WER |")
