from __future__ import annotations

from pathlib import Path

import numpy as np

from mini_parakeet.corpus import Clip, Corpus, write_corpus


def test_clips_come_back_as_they_were_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = [Clip(rng.uniform(-1, 1, length).astype(np.float32), f"Text {length}.", "a:b") for length in (7, 0, 300)]
    write_corpus(tmp_path / "some", clips)
    corpus = Corpus(tmp_path / "some")
    assert [clip.text for clip in corpus] == [clip.text for clip in clips]
    for written, read in zip(clips, corpus, strict=True):
        np.testing.assert_allclose(read.samples, written.samples, atol=1 / 32768)
