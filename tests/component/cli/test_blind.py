"""coldvoxctl evaluate --blind: answers on standard input, audio to a player that keeps what it gets."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.cli.player import Player
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.evaluate.report import SCHEMA
from tests.support.evaluation import evaluate
from tests.support.sound.servers import PulseServer, running
from tests.support.sound.speech import samples

TEXTS = {"A": "Text of A.", "B": "Text of B."}


def report(file: Path, text: str, **changes: Any) -> Path:
    """Write a report of three clips: with this text, and one with the same text in each report."""
    utterances = [
        {
            "id": sample.name,
            "file": str(sample.path),
            "begin_s": 0.0,
            "audio_s": round(len(sample.wave()) / SAMPLE_RATE, 3),
            "text": text if number < 2 else "Same.",
        }
        for number, sample in enumerate(samples()[:3])
    ]
    run = {"name": f"{text}, clean", "variant": text, "noise": None, "utterances": utterances, **changes}
    file.write_text(json.dumps({"schema": SCHEMA, "runs": [run]}))
    return file


def player(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)


def test_clips_are_heard_and_the_answers_counted(tmp_path: Path) -> None:
    first, second = report(tmp_path / "a.json", TEXTS["A"]), report(tmp_path / "b.json", TEXTS["B"])
    player(tmp_path / "bin", "pw-play", "exit 1")  # there is no PipeWire
    player(
        tmp_path / "bin", "paplay", f'n=$(ls {tmp_path}/heard* 2>/dev/null | wc -l); cat "$1" > {tmp_path}/heard$n.wav'
    )
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    result = tmp_path / "result.json"
    ended = evaluate("--blind", first, second, "--output", result, home=tmp_path, stdin="what\nr\n1\n2\n", PATH=path)
    assert (ended.exit, ended.err) == (Exit.DONE, "")
    assert ended.out.count("1 or 2: that text is better") == 2
    found = json.loads(result.read_text())
    shown = [line.partition("  1  ")[2] for line in ended.out.splitlines() if line.startswith("  1  ")]
    letters = {text: letter for letter, text in TEXTS.items()}
    wanted = [letters[shown[0]], "B" if letters[shown[1]] == "A" else "A"]
    assert [one["choice"] for one in found["answers"]] == wanted
    assert (found["same_text"], found["preferred_a"] + found["preferred_b"]) == (1, 2)
    assert "Text of" not in result.read_text().replace(found["a"], "").replace(found["b"], "")
    heard = [soundfile.read(tmp_path / f"heard{number}.wav", dtype="float32")[0] for number in range(3)]
    assert np.array_equal(heard[0], heard[1])
    waves = {sample.name: sample.wave() for sample in samples()[:2]}
    assert np.array_equal(heard[0], waves[found["answers"][0]["id"]])
    assert np.array_equal(heard[2], waves[found["answers"][1]["id"]])


def test_answers_are_printed_if_they_cannot_be_written(tmp_path: Path) -> None:
    first, second = report(tmp_path / "a.json", TEXTS["A"]), report(tmp_path / "b.json", TEXTS["B"])
    outputs = ("-o", tmp_path / "r.json", "-o", tmp_path / "r.json" / "r.json")
    ended = evaluate("--blind", first, second, *outputs, "--json", home=tmp_path, stdin="=\n=\n", PATH="/nowhere")
    assert ended.exit == Exit.FAILED
    assert "r.json is not a folder" in ended.err
    assert ended.report["equal"] == 2


def test_without_a_player_it_says_what_to_listen_to_and_the_input_may_end(tmp_path: Path) -> None:
    first, second = report(tmp_path / "a.json", TEXTS["A"]), report(tmp_path / "b.json", TEXTS["B"])
    ended = evaluate("--blind", first, f"{second}#1", "--json", home=tmp_path, stdin="=\n", PATH="/nowhere")
    assert ended.exit == Exit.DONE
    assert ended.report["answers"][0]["choice"] == "equal"
    assert len(ended.report["answers"]) == 1
    assert "No player works here (pw-play, paplay, aplay): listen to /" in ended.err


def test_a_recording_that_is_gone_is_named(tmp_path: Path) -> None:
    utterances = [{"id": "x", "file": str(tmp_path / "gone.flac"), "begin_s": 0.0, "audio_s": 1.0, "text": "Hello."}]
    first = report(tmp_path / "a.json", "", utterances=utterances)
    second = report(tmp_path / "b.json", "", utterances=[{**utterances[0], "text": "Hallo."}])
    ended = evaluate("--blind", first, second, home=tmp_path, stdin="q\n")
    assert ended.exit == Exit.DONE
    assert f"It cannot be played: there is no file {tmp_path / 'gone.flac'}" in ended.out


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    first = report(tmp_path / "a.json", TEXTS["A"])
    ended = evaluate("--blind", first, tmp_path / "none.json", home=tmp_path)
    assert (ended.exit, ended.out) == (Exit.USAGE, "")
    assert "none.json cannot be read" in ended.err
    ended = evaluate("--blind", first, first, home=tmp_path)
    assert ended.out == "All 3 recordings have the same text in both runs.\n"
    ended = evaluate(tmp_path, "--blind", first, first, home=tmp_path)
    assert ended.exit == Exit.USAGE


def test_real_players_take_audio_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no PipeWire: `pw-play` fails if it is installed, and `paplay` plays."""
    wave = samples()[0].wave()[: SAMPLE_RATE // 2]
    with running(PulseServer) as server, server.adopted():
        monkeypatch.setenv("PIPEWIRE_RUNTIME_DIR", str(server.directory / "nowhere"))
        assert Player().play(wave)
        assert Player((("paplay", "--volume=30000"),)).play(wave * np.float32(4))
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere")
    assert not Player((("paplay",),)).play(wave)
