from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from mini_parakeet.corpus import Clip, write_corpus
from mini_parakeet.librispeech import write


def test_each_voice_is_a_speaker_and_each_corpus_a_chapter(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, voices in (("one", ("a:b", "a:c", "a:b")), ("two", ("a:c",))):
        clips = [Clip(rng.uniform(-0.5, 0.5, 800).astype(np.float32), f"Text {voice}.", voice) for voice in voices]
        write_corpus(tmp_path / name, clips)
    assert write(tmp_path, tmp_path / "set", ["one", "two"]) == 4
    first = (tmp_path / "set/101/1001/101-1001.trans.txt").read_text()
    assert first == "101-1001-0000 Text a:b.\n101-1001-0002 Text a:b.\n"
    assert (tmp_path / "set/102/1002/102-1002.trans.txt").read_text() == "102-1002-0000 Text a:c.\n"
    assert (tmp_path / "set/SPEAKERS.TXT").read_text() == "101 | a:b\n102 | a:c\n"
    wave, rate = soundfile.read(tmp_path / "set/102/1001/102-1001-0001.flac")
    assert (len(wave), rate) == (800, 16_000)
