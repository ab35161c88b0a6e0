"""What the doctor says about the fallback engine in the settings."""

from pathlib import Path

import pytest

from coldvoxd.doctor.examination import examine
from coldvoxd.doctor.finding import Finding, Verdict
from tests.support.environment import environment
from tests.support.models.fallback import korean, tiny_en


def found(engine: str, model: str) -> list[Finding]:
    variables = {
        "COLDVOXD_MODEL_NAME": "mini",
        "COLDVOXD_MODEL_FALLBACK": engine,
        "COLDVOXD_MODEL_FALLBACK_MODEL": model or None,
    }
    with environment(variables):
        findings = list(examine(["storage"]))
    return [finding for finding in findings if finding.part == "fallback"]


def test_without_one_there_is_no_finding() -> None:
    assert found("off", "/nowhere") == []


@pytest.mark.parametrize(("engine", "model"), [("whisper", tiny_en), ("vosk", korean)])
def test_a_usable_one_is_named(engine: str, model: object) -> None:
    assert callable(model)
    path = model()
    [finding] = found(engine, str(path))
    assert finding.verdict is Verdict.OK
    assert f"{engine} with {path}" in finding.text


@pytest.mark.parametrize(("engine", "remedy"), [("whisper", "ggml-base.bin"), ("vosk", "vosk-model-small")])
def test_a_wrong_path_is_reported_with_its_remedy(tmp_path: Path, engine: str, remedy: str) -> None:
    [finding] = found(engine, str(tmp_path / "nothing"))
    assert finding.verdict is Verdict.FAIL
    assert str(tmp_path / "nothing") in finding.text
    assert remedy in finding.remedy


def test_a_missing_path_is_reported() -> None:
    [finding] = found("whisper", "")
    assert finding.verdict is Verdict.FAIL
    assert "`fallback_model` under [model] is not set" in finding.text
    assert 'fallback = "off"' in finding.remedy
