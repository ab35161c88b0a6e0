"""coldvoxctl evaluate beside sherpa-onnx, with the bundled model in sherpa-onnx's layout."""

from pathlib import Path

from coldvoxd.cli.exit_codes import Exit
from contrib.bench.sherpa_layout import prepare
from tests.support.evaluation import evaluate, librispeech
from tests.support.sound.speech import mini, samples


def test_sherpa_onnx_beside(tmp_path: Path) -> None:
    model = prepare(mini(), tmp_path / "sherpa", "fp32")
    place = librispeech(tmp_path / "data", samples()[:2])
    ended = evaluate(place, "--model", "mini", "--engine", f"sherpa-onnx={model}", "--json", home=tmp_path)
    assert ended.exit == Exit.DONE
    own, peer = ended.report["runs"]
    assert (own["name"], peer["name"]) == ("coldvoxd, clean", "sherpa-onnx sherpa, clean")
    assert (peer["clips"], peer["failures"]) == (2, [])
    assert (own["wer"], peer["wer"]) == (0.0, 0.0)


def test_a_directory_without_a_model_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    place = librispeech(tmp_path / "data", samples()[:1])
    ended = evaluate(place, "--model", "mini", "--engine", f"sherpa-onnx={tmp_path}", home=tmp_path)
    assert ended.exit == Exit.NOT_READY
    assert "has no encoder.onnx, decoder.onnx, joiner.onnx, tokens.txt" in ended.err
    ended = evaluate(place, "--model", "mini", "--engine", "sherpa-onnx", home=tmp_path)
    assert "Name its directory: --engine sherpa-onnx=DIRECTORY" in ended.err
