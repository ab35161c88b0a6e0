"""The code of the GPU lane, run on the CPU so that it works when a GPU is available."""

import os
from pathlib import Path

import pytest

from coldvoxd.core.values import Precision
from coldvoxd.models import find_model
from tests.support.environment import OWN_HOME
from tests.support.gpu.lane import LENGTHS_S, ROOT, Examination, examine, opening, report


def test_an_examination_and_its_report_on_the_cpu() -> None:
    found = examine("cpu", rounds=1)
    assert found.active == "CPUExecutionProvider"
    assert found.golden
    assert found.precisions["fp32"].startswith("the same in ")
    assert set(found.precisions) == {"fp32", "fp16", "int8"}
    assert (found.small_memory, found.hidden) == ("opened", "opened"), "neither applies to the CPU"
    assert [*found.latency_s] == [f"{length_s:g}" for length_s in LENGTHS_S]
    written = report(found)
    assert "every sample is heard as on the CPU | yes" in written
    assert written.count("- [ ] ") >= 5
    assert "/home/" not in written
    assert "/root" not in written


def test_the_report_has_no_path_of_the_person_who_sends_it() -> None:
    places = [str(ROOT), os.environ[OWN_HOME], str(Path.home())]
    found = Examination("cpu", small_memory=f"no file {places[0]}/a", hidden=f"none of {places[1]}/b, {places[2]}/c")
    written = report(found)
    assert f"no file {ROOT.name}/a" in written
    assert written.count("~/") == 2
    assert not [place for place in places if f"{place}/" in written]


def test_a_path_that_begins_with_that_of_the_checkout_is_left_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    home = f"{ROOT}-home"
    monkeypatch.setenv(OWN_HOME, home)
    written = report(Examination("cpu", small_memory=f"no file {home}/a", hidden=f"none of {ROOT}/b"))
    assert "no file ~/a" in written
    assert f"none of {ROOT.name}/b" in written


def test_a_provider_that_can_not_be_opened_is_told_with_its_class_and_code() -> None:
    encoder = find_model("mini", Precision.FP32).encoder
    assert opening(encoder, "no-such-provider").startswith("transient, gpu-fault: ")
