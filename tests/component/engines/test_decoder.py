"""The decoder split into two graphs computes the same results as one graph, with fewer runs."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import helper, numpy_helper

from coldvoxd.core.errors import ModelInvalid, ProviderFault
from coldvoxd.core.values import Precision
from coldvoxd.engines.parakeet.decoder import CutDecoder, Decoder, WholeDecoder, faster, open_decoder
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.tdt import decode_greedy
from coldvoxd.models import find_model
from coldvoxd.native.opening import open_session
from coldvoxd.native.session import OrtSession
from coldvoxd.onnx_graph.decoder_split import cut
from tests.support.models.internals import decoder_of
from tests.support.models.tiny_graphs import write_tiny_parakeet
from tests.support.sound.speech import mini, samples

BLANK, FRAME_SIZE = 384, 128


class Counted:
    """Counts the bound runs of a session."""

    def __init__(self) -> None:
        self.runs = 0

    def wrap(self, session: OrtSession) -> OrtSession:
        bind = session.bound

        def bound(feeds: Mapping[str, npt.NDArray[Any]], results: Mapping[str, npt.NDArray[Any]]) -> Callable[[], None]:
            run = bind(feeds, results)

            def counted() -> None:
                self.runs += 1
                run()

            return counted

        session.bound = bound  # type: ignore[method-assign] # counts the actual runs
        return session


def open_graph(path: Path, content: bytes | None = None) -> OrtSession:
    return open_session(path, threads=1, content=content)


def same(session: OrtSession) -> OrtSession:
    return session


@pytest.fixture(params=[Precision.FP32, Precision.INT8], ids=str)
def path(request: pytest.FixtureRequest) -> Path:
    return find_model(str(mini()), request.param).decoder[0]


def walk(decoder: Decoder, seed: int) -> list[npt.NDArray[np.float32]]:
    """Return the scores of random frames, with random tokens read between some of them."""
    generator = np.random.default_rng(seed)
    decoder.begin()
    scores = []
    for _ in range(50):
        scores.append(decoder.score(generator.normal(0, 1, FRAME_SIZE).astype(np.float32)).copy())
        if generator.random() < 0.5:
            decoder.read(int(generator.integers(BLANK)))
    return scores


def test_two_graphs_and_one_give_the_same_scores_to_the_last_bit(path: Path) -> None:
    whole = WholeDecoder(open_session(path, threads=1), BLANK)
    halves = open_decoder((path,), BLANK, open_graph, same)
    assert isinstance(halves, CutDecoder)
    for seed in range(4):
        for one, two in zip(walk(whole, seed), walk(halves, seed), strict=True):
            assert np.array_equal(one, two)


def test_a_sentence_does_not_depend_on_the_one_before(path: Path) -> None:
    whole = WholeDecoder(open_session(path, threads=1), BLANK)
    for decoder in (whole, open_decoder((path,), BLANK, open_graph, same)):
        first = walk(decoder, 1)
        walk(decoder, 2)
        assert np.array_equal(first, walk(decoder, 1))


def test_the_prediction_network_runs_once_a_token_at_most_and_the_joint_network_once_a_score() -> None:
    files = find_model(str(mini()), Precision.FP32)
    recognizer = ParakeetRecognizer.open(files, threads=1)
    (path,) = files.decoder
    halves = cut(path.read_bytes())
    assert halves is not None
    predicting, joining = Counted(), Counted()
    decoder = CutDecoder(
        predicting.wrap(open_graph(path, halves.prediction)), joining.wrap(open_graph(path, halves.joint)), BLANK
    )
    for clip in samples()[:3]:
        hypothesis = recognizer.recognize_samples(clip.wave())
        scored = Scored(decoder)
        predicting.runs = joining.runs = 0
        encoded = recognizer.encode(_features(clip.wave()))
        tokens = decode_greedy(encoded, scored, blank=BLANK)
        assert tokens == hypothesis.tokens
        assert joining.runs == scored.scores > len(tokens), "there are blanks"
        assert len(tokens) - 1 <= predicting.runs <= len(tokens)


class Scored:
    """Counts a decoder's scores."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self.scores = 0
        self.begin, self.read = decoder.begin, decoder.read

    def score(self, encoder_frame: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        self.scores += 1
        return self._decoder.score(encoder_frame)


def _features(wave: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    from coldvoxd.core.features import log_mel
    from coldvoxd.engines.parakeet.silence import without_exact_silence

    return log_mel(without_exact_silence(wave), 128)


def test_each_half_is_a_whole_file_of_its_own(path: Path) -> None:
    model = path.read_bytes()
    halves = cut(model)
    assert halves is not None
    assert len(halves.prediction) + len(halves.joint) == pytest.approx(len(model), rel=0.02), "no weight is in both"
    joint = open_graph(path, halves.joint)
    assert set(joint.inputs) == {"encoder_outputs", halves.link}
    assert set(joint.outputs) == {"outputs"}
    prediction = open_graph(path, halves.prediction)
    assert "encoder_outputs" not in prediction.inputs
    assert set(prediction.outputs) == {halves.link, "output_states_1", "output_states_2"}


@pytest.fixture
def knotted(tmp_path: Path) -> Path:
    """A model whose joint network reads two values of the prediction network; they cancel each other out."""
    for file in mini().iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path / file.name)
    path = tmp_path / "decoder_joint-model.onnx"
    model = onnx.load(path)
    halves = cut(path.read_bytes())
    assert halves is not None
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), "nought"))
    adding = next(index for index, node in enumerate(graph.node) if halves.link in node.input)
    graph.node.insert(adding, helper.make_node("Mul", ["output_states_1", "nought"], ["nothing"]))
    graph.node.insert(adding + 1, helper.make_node("ReduceSum", ["nothing"], ["none_at_all"], keepdims=0))
    node = graph.node[adding + 2]
    summed = node.output[0]
    node.output[0] = "summed"
    graph.node.insert(adding + 3, helper.make_node("Add", ["summed", "none_at_all"], [summed]))
    onnx.save(model, path)
    return tmp_path


def test_a_graph_that_does_not_fall_apart_runs_whole(knotted: Path) -> None:
    files = find_model(str(knotted), Precision.FP32)
    assert cut(files.decoder[0].read_bytes()) is None
    recognizer = ParakeetRecognizer.open(files, threads=1)
    assert isinstance(decoder_of(recognizer), WholeDecoder)
    for clip in samples():
        assert recognizer.recognize_samples(clip.wave()).text == clip.heard["fp32"]


def test_weights_beside_the_graph_keep_it_whole(tmp_path: Path) -> None:
    model = onnx.load(mini() / "decoder_joint-model.onnx")
    onnx.save_model(model, tmp_path / "d.onnx", save_as_external_data=True, location="d.data", size_threshold=0)
    assert cut((tmp_path / "d.onnx").read_bytes()) is None


def test_what_is_no_decoder_is_not_cut() -> None:
    assert cut((mini() / "encoder-model.int8.onnx").read_bytes()) is None
    for content in (b"", b"not a graph"):
        with pytest.raises(ValueError, match="not an ONNX file"):
            cut(content)


def test_a_graph_without_a_known_frame_size_is_refused(tmp_path: Path) -> None:
    path = write_tiny_parakeet(tmp_path / "tiny") / "decoder_joint-model.onnx"
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "open"
    onnx.save(model, path)
    with pytest.raises(ModelInvalid, match="leaves the size of encoder_outputs open"):
        open_decoder((path,), 4, open_graph, same)


class Slow(Counted):
    """A session with slower runs."""

    def wrap(self, session: OrtSession) -> OrtSession:
        bind = session.bound

        def bound(feeds: Mapping[str, npt.NDArray[Any]], results: Mapping[str, npt.NDArray[Any]]) -> Callable[[], None]:
            run = bind(feeds, results)

            def slowly() -> None:
                time.sleep(0.02)
                run()

            return slowly

        session.bound = bound  # type: ignore[method-assign] # simulates a slow device
        return session


@pytest.mark.parametrize("slow_first", [True, False])
def test_of_two_decoders_the_faster_is_kept_and_the_other_closed(path: Path, slow_first: bool) -> None:
    quick = open_decoder((path,), BLANK, open_graph, same)
    slow = open_decoder((path,), BLANK, open_graph, Slow().wrap)
    expected = walk(quick, 1)
    assert faster(*((slow, quick) if slow_first else (quick, slow))) is quick
    assert np.array_equal(walk(quick, 1), expected), "the trial leaves no state behind"
    with pytest.raises(ProviderFault, match="closed"):
        slow.score(np.zeros(FRAME_SIZE, np.float32))


def test_a_bound_run_of_a_closed_session_says_so(path: Path) -> None:
    decoder = open_decoder((path,), BLANK, open_graph, same)
    decoder.begin()
    decoder.close()
    with pytest.raises(ProviderFault, match="closed"):
        decoder.score(np.zeros(FRAME_SIZE, np.float32))


def test_a_bound_run_that_fails_is_the_providers_fault(tmp_path: Path) -> None:
    path = write_tiny_parakeet(tmp_path / "tiny", fault="raise-decoder") / "decoder_joint-model.onnx"
    decoder = open_decoder((path,), 4, open_graph, same)
    decoder.begin()
    with pytest.raises(ProviderFault, match=r"cpu failed to run decoder_joint-model\.onnx: .*Gather"):
        decoder.score(np.zeros(1, np.float32))
