"""Sessions run on the requested provider or not at all, and fail with our exceptions."""

import weakref
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from coldvoxd.core.errors import ModelInvalid, ProviderFault, ProviderUnavailable
from coldvoxd.core.provider_names import short_name
from coldvoxd.native.opening import closed_on_error, open_session, session_options
from coldvoxd.native.processor import physical_cores
from coldvoxd.native.providers import available_providers, full_name
from coldvoxd.native.session import OrtSession
from tests.support.models.tiny_graphs import BINS, write_tiny_parakeet
from tests.support.sound.speech import mini


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_tiny_parakeet(tmp_path / "tiny") / "encoder-model.onnx"


def test_a_session_says_what_it_runs_on(encoder: Path) -> None:
    assert open_session(encoder).provider == "CPUExecutionProvider"


def test_a_session_knows_the_types_and_shapes_of_its_graph(encoder: Path) -> None:
    session = open_session(encoder)
    assert session.inputs["audio_signal"].shape == (None, BINS, None)
    assert session.inputs["length"].dtype == np.int64
    assert session.outputs["outputs"].dtype == np.float32


def test_providers_have_short_names_from_the_installed_onnx_runtime() -> None:
    assert "cpu" in available_providers()
    for name in onnxruntime.get_available_providers():
        assert full_name(short_name(name)) == full_name(name) == name


def test_an_unknown_provider_is_refused_with_those_there_are(encoder: Path) -> None:
    with pytest.raises(ProviderUnavailable, match=r"no execution provider 'cudda'; it offers .*cpu"):
        open_session(encoder, "cudda")


@pytest.mark.parametrize("provider", [name for name in available_providers() if name != "cpu"])
def test_an_accelerator_is_really_used_or_refused(encoder: Path, provider: str) -> None:
    """The outcome depends on the machine; the session must never run on another provider."""
    outcome = ""
    try:
        active = open_session(encoder, provider).provider
    except ProviderUnavailable as error:
        active, outcome = "", str(error)
    assert active == full_name(provider) or (f"on {provider}" in outcome and 'provider = "cpu"' in outcome)


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    path = tmp_path / "encoder-model.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(ModelInvalid, match=r"encoder-model\.onnx is not a graph that ONNX Runtime .* can load"):
        open_session(path)


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "encoder-model.onnx"
    path.write_bytes((mini() / "encoder-model.onnx").read_bytes()[:100_000])
    with pytest.raises(ModelInvalid, match=r"encoder-model\.onnx.*download the model again"):
        open_session(path)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelInvalid, match="missing"):
        open_session(tmp_path / "encoder-model.onnx")


def test_a_run_that_fails_is_the_providers_fault(tmp_path: Path) -> None:
    session = open_session(write_tiny_parakeet(tmp_path / "tiny", fault="raise") / "encoder-model.onnx")
    with pytest.raises(ProviderFault, match=r"cpu failed to run encoder-model\.onnx: .*Gather"):
        session.run(("outputs",), {"audio_signal": np.zeros((1, BINS, 9), np.float32), "length": np.array([8])})


def test_feeds_that_do_not_fit_the_graph_are_a_fault_too(encoder: Path) -> None:
    with pytest.raises(ProviderFault, match=r"encoder-model\.onnx"):
        open_session(encoder).run(("outputs",), {"length": np.array([8])})


def test_a_closed_session_says_so(encoder: Path) -> None:
    session = open_session(encoder)
    session.close()
    with pytest.raises(ProviderFault, match="closed"):
        session.run(("outputs",), {})


def test_threads_are_the_physical_cores_that_we_may_use() -> None:
    assert physical_cores() >= 1
    assert session_options().intra_op_num_threads == physical_cores()
    assert session_options(3).intra_op_num_threads == 3


def test_threads_sleep_between_runs_and_memory_goes_back() -> None:
    options = session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert session_options(spinning=True).get_session_config_entry("session.force_spinning_stop") == "1"
    assert not options.enable_cpu_mem_arena


def test_what_was_opened_before_an_error_is_closed(encoder: Path) -> None:
    kept = open_session(encoder)
    opened: list[OrtSession] = []

    @closed_on_error()
    def open_two() -> None:
        opened.append(open_session(encoder))
        open_session(encoder.with_name("missing.onnx"))

    with pytest.raises(ModelInvalid, match="missing"):
        open_two()
    with pytest.raises(ProviderFault, match="closed"):
        opened[0].run(("outputs",), {})
    with closed_on_error():
        second = open_session(encoder)
    feeds = {"audio_signal": np.zeros((1, BINS, 9), np.float32), "length": np.array([8])}
    assert len(kept.run(("outputs",), feeds)) == len(second.run(("outputs",), feeds)) == 1


def test_a_fault_that_is_kept_does_not_keep_the_session(tmp_path: Path) -> None:
    """A session that a traceback holds is not freed when it is closed, and its GPU's device neither."""
    session = open_session(write_tiny_parakeet(tmp_path / "tiny", fault="raise") / "encoder-model.onnx")
    assert session._native is not None
    alive = weakref.ref(session._native)
    with pytest.raises(ProviderFault) as kept:
        session.run(("outputs",), {"audio_signal": np.zeros((1, BINS, 9), np.float32), "length": np.array([8])})
    session.close()
    assert alive() is None, kept
