"""A graph that is split into pieces returns the same as the whole graph."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ModelInvalid, ProviderFault, Stopped
from coldvoxd.native.opening import open_chain, open_session, write_prepared
from coldvoxd.native.session import OrtSession, SessionChain
from coldvoxd.onnx_graph.partition import cut
from tests.support.sound.speech import mini

FEEDS: dict[str, npt.NDArray[Any]] = {
    "audio_signal": np.random.default_rng(0).normal(0, 1, (1, 128, 300)).astype(np.float32),
    "length": np.array([300], np.int64),
}
NAMES = ("outputs", "encoded_lengths")


@pytest.fixture(scope="module", params=["encoder-model.onnx", "encoder-model.int8.onnx"], ids=["fp32", "int8"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder in its prepared form, with its weights beside it."""
    target = tmp_path_factory.mktemp("whole") / "encoder.onnx"
    write_prepared(mini() / request.param, target)
    return target


def pieces_of(whole: Path, nodes: int) -> list[Path]:
    def types(model: bytes) -> dict[str, str]:
        session = open_session(whole, content=model, prepared=True)
        return {name: kind.dtype.name for name, kind in (*session.inputs.items(), *session.outputs.items())}

    paths = []
    for number, piece in enumerate(cut(whole.read_bytes(), types, nodes)):
        paths.append(whole.with_name(f"{nodes}-{number}.onnx"))
        paths[-1].write_bytes(piece)
    return paths


def opened(path: Path) -> OrtSession:
    return open_session(path, prepared=True, weights=path.with_name("encoder.onnx.data"))


@pytest.mark.parametrize(("nodes", "least"), [(10_000, 1), (100, 3), (40, 8)])
def test_a_chain_gives_what_the_whole_gives_to_the_last_bit(whole: Path, nodes: int, least: int) -> None:
    paths = pieces_of(whole, nodes)
    assert len(paths) >= least
    one, chain = opened(whole), open_chain(paths, opened)
    assert (chain.inputs, chain.provider) == (one.inputs, one.provider)
    for name in NAMES:
        assert chain.outputs[name] == one.outputs[name]
    for ours, theirs in zip(chain.run(NAMES, FEEDS), one.run(NAMES, FEEDS), strict=True):
        assert np.array_equal(ours, theirs)
    chain.close()
    with pytest.raises(ProviderFault, match="closed"):
        chain.run(NAMES, FEEDS)


def test_pieces_take_their_weights_from_the_one_file(whole: Path) -> None:
    paths = pieces_of(whole, 100)
    assert sum(path.stat().st_size for path in paths) < 2 * whole.stat().st_size
    whole.with_name("encoder.onnx.data").rename(whole.with_name("elsewhere"))
    with pytest.raises(ModelInvalid):
        open_chain(paths, opened)
    whole.with_name("elsewhere").rename(whole.with_name("encoder.onnx.data"))


def test_a_piece_that_can_not_be_opened_closes_the_others(whole: Path) -> None:
    paths = pieces_of(whole, 100)
    made: list[OrtSession] = []

    def opening(path: Path) -> OrtSession:
        if path == paths[1]:
            raise ModelInvalid("broken")
        made.append(opened(path))
        return made[-1]

    with pytest.raises(ModelInvalid, match="broken"):
        open_chain(paths, opening)
    assert len(made) == len(paths) - 1
    for session in made:
        with pytest.raises(ProviderFault, match="closed"):
            session.run((), {})


class Asked(SessionChain):
    """A chain that requests the stop at its end."""

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]], stop: CancellationToken | None = None
    ) -> list[npt.NDArray[Any]]:
        given = super().run(outputs, feeds, stop)
        assert stop is not None
        stop.ask()
        return given


def test_a_run_is_stopped_between_pieces(whole: Path) -> None:
    first, *others = (opened(path) for path in pieces_of(whole, 100))
    with pytest.raises(Stopped):
        SessionChain([Asked([first]), *others]).run(NAMES, FEEDS, CancellationToken())
