"""Layouts of data sets: LibriSpeech's, manifests, folders; and what is said about those that are not right."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from coldvoxd.evaluate.clips import Clip, ClipFault, Dataset, DatasetFault
from coldvoxd.evaluate.datasets import read
from tests.support.evaluation import librispeech, plain
from tests.support.sound.speech import samples

FILE = samples()[0].path


def reasons(dataset: Dataset) -> dict[str, str]:
    return {fault.name: fault.reason for fault in dataset.faults}


def test_librispeech(tmp_path: Path) -> None:
    dataset = read(librispeech(tmp_path / "test-clean"))
    assert (dataset.layout, dataset.faults) == ("librispeech", ())
    assert [clip.id for clip in dataset.clips] == ["103-7-0000", "103-7-0002", "1246-7-0001", "1246-7-0003"]
    assert [clip.speaker for clip in dataset.clips] == ["103", "103", "1246", "1246"]
    first = dataset.clips[0]
    assert first.path == tmp_path / "test-clean/103/7/103-7-0000.flac"
    assert first.reference == plain(samples()[0].said).upper()
    assert first.text_file == tmp_path / "test-clean/103/7/103-7.trans.txt"
    assert (dataset.references, dataset.reference_files) == ("*.trans.txt", 2)


def test_librispeech_with_recordings_and_texts_that_do_not_belong_together(tmp_path: Path) -> None:
    place = librispeech(tmp_path)
    (place / "103/7/103-7-0002.flac").unlink()
    shutil.copy(FILE, place / "103/7/103-7-0009.flac")
    transcript = place / "1246/7/1246-7.trans.txt"
    transcript.write_text(transcript.read_text() + "1246-7-0001 THE SAME NAME\n1246-7-0003\n")
    dataset = read(place)
    assert len(dataset.clips) == 3
    assert [(fault.name, fault.reason.split(" /")[0]) for fault in dataset.faults] == [
        ("103-7-0002", "there is no 103-7-0002.flac beside 103/7/103-7.trans.txt, line 2"),
        ("1246-7-0001", "this name is taken by"),
        ("1246-7-0003", "its text is empty"),
        ("103/7/103-7-0009.flac", "no .trans.txt beside it has its text"),
    ]


def test_a_folder_of_recordings_with_texts(tmp_path: Path) -> None:
    for name in ("a.flac", "deep/b.flac", "no-text.flac", "empty.flac", ".hidden.flac"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(FILE, tmp_path / name)
    (tmp_path / "a.txt").write_text("Open\n the  file.\n")
    (tmp_path / "deep/b.txt").write_text("Open the file.")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "notes.txt").write_text("no recording has this name")
    dataset = read(tmp_path)
    assert dataset.layout == "folder"
    assert [clip.text_file for clip in dataset.clips] == [tmp_path / "a.txt", tmp_path / "deep/b.txt"]
    assert (dataset.references, dataset.reference_files) == ("*.txt of the recording's name", 2)
    assert [(clip.id, clip.reference, clip.speaker) for clip in dataset.clips] == [
        ("a", "Open the file.", ""),
        ("deep/b", "Open the file.", ""),
    ]
    assert reasons(dataset) == {"empty": "its text is empty", "no-text.flac": "there is no no-text.txt beside it"}


@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t")])
@pytest.mark.parametrize("columns", [("audio", "text"), ("Path", "Sentence"), ("audio_filepath", "transcript")])
def test_a_table(tmp_path: Path, suffix: str, delimiter: str, columns: tuple[str, str]) -> None:
    shutil.copy(FILE, tmp_path / "a.flac")
    manifest = tmp_path / f"manifest{suffix}"
    with manifest.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(
            [
                [*columns, "client_id"],
                ["a.flac", "Open, the file.", "ann"],
                ["gone.flac", "Hello.", ""],
                ["a.flac", "", ""],
            ]
        )
    dataset = read(tmp_path)
    assert dataset.layout == "csv"
    assert dataset.clips == (Clip("a.flac", tmp_path / "a.flac", "Open, the file.", "ann", text_file=manifest),)
    assert reasons(dataset) == {
        "gone.flac": f"there is no recording {tmp_path / 'gone.flac'}",
        "a.flac": "its text is empty",
    }
    assert read(manifest).clips == dataset.clips


def test_quotes_are_letters_in_a_table_of_common_voice(tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path / "a.flac")
    (tmp_path / "test.tsv").write_text('client_id\tpath\tsentence\nx\ta.flac\t"Open," he said\n')
    assert [clip.reference for clip in read(tmp_path / "test.tsv").clips] == ['"Open," he said']


def test_a_table_with_a_field_without_end(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(f'audio,text\na.flac,"{"word " * 40_000}\n')
    with pytest.raises(DatasetFault, match=r"m.csv, after line 1: not a row of a table: field larger"):
        read(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("suffix", "line"), [(".csv", "a.flac,Open the, file.,x"), (".tsv", "a.flac\tOpen the\t file.\tx")]
)
def test_a_row_with_more_columns_than_the_first_line_is_not_cut(tmp_path: Path, suffix: str, line: str) -> None:
    shutil.copy(FILE, tmp_path / "a.flac")
    head = "audio,text" if suffix == ".csv" else "audio\ttext"
    (tmp_path / f"m{suffix}").write_text(f"{head}\n{line}\na.flac,Hello\n")
    dataset = read(tmp_path / f"m{suffix}")
    assert "Open the" not in [clip.reference for clip in dataset.clips]
    assert reasons(dataset)[f"m{suffix}, line 2"].startswith("it has 4 columns, the first line 2: ")


def test_a_column_that_a_table_has_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("audio,text,Text\na.flac,Hello,Bye\n")
    with pytest.raises(DatasetFault, match="has two columns text"):
        read(tmp_path / "m.csv")


def test_what_is_no_text_in_json_lines_is_not_turned_into_one(tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path / "a.flac")
    deep = "[" * 100_000
    lines = [
        '{"audio": "a.flac", "text": ["open", "the file"]}',
        '{"audio": {"path": "a.flac"}, "text": "open"}',
        '{"audio": "a.flac", "text": true}',
        '{"audio": "a.flac", "text": "open", "offset": 1' + "0" * 400 + "}",
        '{"audio": "a.flac", "text": "open", "offset": 1' + "0" * 9000 + "}",
        deep,
        '{"audio": "a.flac", "text": 12}',
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    dataset = read(tmp_path / "m.jsonl")
    assert [clip.reference for clip in dataset.clips] == ["12"]
    assert len(dataset.faults) == 6


def test_a_folder_with_the_suffix_of_a_recording_is_none(tmp_path: Path) -> None:
    (tmp_path / "dir.flac").mkdir()
    shutil.copy(FILE, tmp_path / "dir.flac" / "a.flac")
    (tmp_path / "dir.flac" / "a.txt").write_text("Open the file.")
    dataset = read(tmp_path)
    assert ([clip.id for clip in dataset.clips], dataset.faults) == (["dir.flac/a"], ())


def test_a_table_without_a_column(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("audio,words\na.flac,Hello\n")
    with pytest.raises(
        DatasetFault, match=r"no column of texts: its first line must name one of text, .* it has audio, words"
    ):
        read(tmp_path / "m.csv")


def test_json_lines_as_nemo_writes_them(tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path / "a.flac")
    lines = [
        {"audio_filepath": str(tmp_path / "a.flac"), "duration": 1.59, "text": "open the file"},
        {"audio_filepath": "a.flac", "offset": 0.5, "duration": 1.0, "text": "the file", "speaker": 7},
        {"audio_filepath": "a.flac", "offset": "soon", "text": "the file"},
        {"audio_filepath": "a.flac", "offset": -1, "text": "the file"},
        {"audio_filepath": "a.flac", "offset": [1], "text": "the file"},
        {"audio_filepath": "a.flac", "offset": float("nan"), "text": "the file"},
        {"audio_filepath": "a.flac", "offset": 0, "duration": 0, "text": "the file"},
        {"text": "no recording"},
        {"audio_filepath": "b.flac"},
        ["a.flac"],
    ]
    manifest = tmp_path / "train.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)) + "\n\nnot json\n")
    dataset = read(manifest)
    assert (dataset.layout, dataset.references, dataset.reference_files) == ("jsonl", "train.jsonl", 1)
    assert dataset.clips == (
        Clip("a.flac", tmp_path / "a.flac", "open the file", text_file=manifest),
        Clip("a.flac@0.5", tmp_path / "a.flac", "the file", "7", 0.5, 1.0, manifest),
    )
    assert [fault.name for fault in dataset.faults] == [
        *["a.flac"] * 5,
        "train.jsonl, line 8",
        "b.flac",
        "train.jsonl, line 10",
        "train.jsonl, line 12",
    ]


def test_what_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetFault, match=r"There is no .*nowhere"):
        read(tmp_path / "nowhere")
    with pytest.raises(DatasetFault, match="neither a directory nor a manifest"):
        read(FILE)
    (tmp_path / "letter.txt").write_text("Dear Sir")
    with pytest.raises(DatasetFault, match=r"has no data set. It must hold LibriSpeech's folders"):
        read(tmp_path)
    (tmp_path / "manifest.csv").write_bytes(b"audio,text\na.flac,caf\xe9\n")
    with pytest.raises(DatasetFault, match="is not UTF-8 text"):
        read(tmp_path)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DatasetFault, match="has no rows"):
        read(tmp_path / "empty.jsonl")


def test_faults_end_the_command_unless_they_are_left_out() -> None:
    faults = tuple(ClipFault(f"clip-{number}", "its text is empty") for number in range(7))
    dataset = Dataset(Path("data"), "folder", (Clip("a", FILE, "Open."),), faults)
    with pytest.raises(DatasetFault) as caught:
        dataset.without_faults(skip=False)
    assert str(caught.value) == (
        "7 of 8 recordings cannot be used (clip-0: its text is empty; clip-1: its text is empty; clip-2: its text is empty; "
        "clip-3: its text is empty; clip-4: its text is empty; and 2 more). Correct them, or leave them out with "
        "--skip-faulty: the report then names them."
    )
    assert dataset.without_faults(skip=True) is dataset
    with pytest.raises(DatasetFault, match=r"data has no recording that can be used. 7 of 7"):
        Dataset(Path("data"), "folder", (), faults).without_faults(skip=True)


def test_clips_are_chosen_by_a_seed() -> None:
    clips = tuple(Clip(f"{number:02}", FILE, "Open.") for number in range(20))
    dataset = Dataset(Path("data"), "folder", clips)
    few = dataset.at_most(5, np.random.default_rng(3)).clips
    assert few == dataset.at_most(5, np.random.default_rng(3)).clips
    assert few != dataset.at_most(5, np.random.default_rng(4)).clips
    assert sorted(few, key=lambda clip: clip.id) == list(few)
    assert dataset.at_most(20, np.random.default_rng(3)) is dataset
    assert dataset.at_most(None, np.random.default_rng(3)) is dataset
