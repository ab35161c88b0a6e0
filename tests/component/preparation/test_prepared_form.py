"""A prepared form returns the same as the model itself, and is used only if it matches."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from coldvoxd.core.errors import ModelInvalid, PrepareFault, UnitRefused
from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EndReason, ModelFiles, Precision, Utterance
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.engines.parakeet.staged import StagedRecognizer
from coldvoxd.models import find_model
from coldvoxd.models import prepare_unit as preparation
from coldvoxd.models import prepared_store as prepared
from coldvoxd.models.prepare_unit import have_prepared
from coldvoxd.models.prepared_store import RECORD, SAMPLE_BYTES, SAMPLES, find_form, fingerprint, stored_forms
from coldvoxd.native import opening, ort
from coldvoxd.native.processor import physical_cores
from coldvoxd.onnx_graph.external_data import packed_offsets
from coldvoxd.onnx_graph.masks import Masks, found_in
from coldvoxd.preparation import prepare as preparing
from coldvoxd.preparation.prepare import prepare
from coldvoxd.preparation.thread_tuning import clearly_fastest, fastest_threads, least_s
from coldvoxd.recognition.factory import open_on_cpu, open_staged
from tests.support.sound.speech import mini, samples

PLENTY = 1e9


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/coldvoxd/prepared"


@pytest.fixture
def model(tmp_path: Path, cache: Path) -> Path:  # noqa: ARG001 - no test writes into the user's own cache
    """A copy of the small model that a test may change."""
    directory = tmp_path / "model"
    shutil.copytree(mini(), directory)
    return directory


@pytest.fixture
def files(model: Path) -> ModelFiles:
    return find_model(str(model), Precision.FP32)


def masks_of(files: ModelFiles) -> Masks:
    masks = found_in(files.encoder.read_bytes())
    assert masks is not None
    return masks


def mapped_files() -> set[str]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if line.count(" ") >= 5 and "/" in line}


def test_a_prepared_model_gives_the_same_tokens_to_the_last_bit(files: ModelFiles) -> None:
    form = prepare(files, budget_bytes=PLENTY)
    plain, mapped = ParakeetRecognizer.open(files), ParakeetRecognizer.open(files, prepared=form)
    assert not mapped.masks
    for clip in samples():
        assert mapped.recognize_samples(clip.wave()).tokens == plain.recognize_samples(clip.wave()).tokens


def test_in_int8_the_same_text(model: Path) -> None:
    """An encoder without masks sees no empty frame after the speech, which may have widened the ranges."""
    files = find_model(str(model), Precision.INT8)
    form = prepare(files, budget_bytes=PLENTY)
    plain, mapped = ParakeetRecognizer.open(files), ParakeetRecognizer.open(files, prepared=form)
    assert not mapped.masks
    for clip in samples():
        assert mapped.recognize_samples(clip.wave()).text == plain.recognize_samples(clip.wave()).text


def test_an_encoder_with_other_masks_keeps_them(files: ModelFiles) -> None:
    graph = onnx.load(str(files.encoder))
    factors = {name for name, value in masks_of(files).passing.items() if value == 1.0}
    masking = next(node for node in graph.graph.node if node.op_type == "Mul" and factors.intersection(node.input))
    masking.op_type = "Add"
    onnx.save(graph, str(files.encoder))
    said: list[str] = []
    form = prepare(files, budget_bytes=PLENTY, tell=said.append)
    assert [line for line in said if "an unknown way" in line]
    plain, mapped = ParakeetRecognizer.open(files), ParakeetRecognizer.open(files, prepared=form)
    assert mapped.masks
    clip = samples()[0].wave()
    assert mapped.recognize_samples(clip).tokens == plain.recognize_samples(clip).tokens


def test_an_encoder_whose_masks_hide_audio_keeps_them(files: ModelFiles) -> None:
    """The mask hides the last column although it is within the length."""
    graph = onnx.load(str(files.encoder))
    for node in graph.graph.node:
        if "length" in node.input:
            node.input[list(node.input).index("length")] = "less"
    graph.graph.initializer.append(helper.make_tensor("sixteen", TensorProto.INT64, [1], [16]))
    graph.graph.node.insert(0, helper.make_node("Sub", ["length", "sixteen"], ["less"]))
    onnx.save(graph, str(files.encoder))
    said: list[str] = []
    form = prepare(files, budget_bytes=PLENTY, tell=said.append)
    assert [line for line in said if "masks part of audio" in line]
    assert form.masks


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8], ids=str)
def test_its_encoder_takes_what_it_multiplies_of_positions_from_a_table(model: Path, precision: Precision) -> None:
    said: list[str] = []
    form = prepare(find_model(str(model), precision), budget_bytes=PLENTY, tell=said.append)
    assert not [line for line in said if "table" in line]
    assert b"coldvoxd.positions" in form.encoder[0].read_bytes()


def test_its_weights_are_mapped_and_not_read(files: ModelFiles) -> None:
    form = prepare(files, budget_bytes=PLENTY)
    weights = str(form.weights)
    assert weights not in mapped_files()
    recognizer = ParakeetRecognizer.open(files, prepared=form)
    assert weights in mapped_files()
    recognizer.close()


def test_it_is_made_once(files: ModelFiles) -> None:
    first = prepare(files, budget_bytes=PLENTY)
    made_ns = (first.directory / RECORD).stat().st_mtime_ns
    assert prepare(files, budget_bytes=PLENTY) == first == find_form(files)
    assert (first.directory / RECORD).stat().st_mtime_ns == made_ns


@pytest.mark.heavy
def test_a_form_that_is_damaged_between_the_pieces_that_are_compared_is_made_again(files: ModelFiles) -> None:
    first = prepare(files, budget_bytes=PLENTY)
    weights = first.weights.read_bytes()
    at = SAMPLE_BYTES + 64
    assert len(weights) > SAMPLES * SAMPLE_BYTES, "or each byte is compared"
    first.weights.write_bytes(weights[:at] + bytes(byte ^ 0x55 for byte in weights[at : at + 64]) + weights[at + 64 :])
    assert prepare(files, budget_bytes=PLENTY) == first, "the damage was noticed"
    assert first.weights.read_bytes() != weights
    assert prepare(files, budget_bytes=PLENTY, again=True) == first
    assert first.weights.read_bytes() == weights


def heard(model: Path) -> str:
    recognizer = open_on_cpu(ModelSettings(name=str(model)), Precision.FP32)
    return recognizer.recognize(Utterance(1, 1, 0, samples()[0].wave(), EndReason.ENDPOINT)).text


def test_the_daemon_maps_what_is_prepared(model: Path, files: ModelFiles) -> None:
    form = prepare(files, budget_bytes=PLENTY)
    recognizer = open_on_cpu(ModelSettings(name=str(model)), Precision.FP32)
    assert str(form.weights) in mapped_files()
    recognizer.close()
    assert heard(model) == samples()[0].heard["fp32"]


def another_version(_form: Path, _model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "__version__", "1.99.0")


def another_cpu(_form: Path, _model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = ort.cpu_features()
    monkeypatch.setattr(ort, "cpu_features", lambda: known.replace("avx2", ""))


def changed_weights(_form: Path, model: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    """Change weights, keeping the size and the modification time."""
    path = model / "decoder_joint-model.onnx"
    before = path.stat()
    content = bytearray(path.read_bytes())
    for place in range(200, len(content), 4096):
        content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def touched(_form: Path, model: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    os.utime(model / "encoder-model.onnx", (1, 1))


def cut_off(form: Path, _model: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    os.truncate(form / "encoder.onnx.data", (form / "encoder.onnx.data").stat().st_size - 1)


def damaged(form: Path, _model: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    with (form / "encoder.onnx.data").open("r+b") as file:
        file.write(bytes(4096))


def incomplete(form: Path, _model: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    (form / "joint.onnx").unlink()


def without_a_record(form: Path, _model: Path, _monkeypatch: pytest.MonkeyPatch) -> None:
    (form / RECORD).write_text("{}")


CHANGES = [another_version, another_cpu, changed_weights, touched, cut_off, damaged, incomplete, without_a_record]


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_fit_is_not_used(
    model: Path,
    files: ModelFiles,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, Path, pytest.MonkeyPatch], None],
) -> None:
    form = prepare(files, budget_bytes=PLENTY)
    assert find_form(files) is not None
    change(form.directory, model, monkeypatch)
    assert find_form(files) is None
    if change is not changed_weights:
        assert heard(model) == samples()[0].heard["fp32"], "the model's own files are used"
    if change in {cut_off, touched}:
        again = prepare(files, budget_bytes=PLENTY)
        assert find_form(files) == again
        assert [stored.directory for stored in stored_forms()] == [again.directory], "the outdated form is deleted"


def test_a_form_that_cannot_be_opened_is_passed_over(
    model: Path, files: ModelFiles, caplog: pytest.LogCaptureFixture
) -> None:
    form = prepare(files, budget_bytes=PLENTY)
    form.encoder[0].write_bytes(b"not a graph")
    record = json.loads((form.directory / RECORD).read_text())
    record["files"][form.encoder[0].name] = fingerprint(form.encoder[0])
    (form.directory / RECORD).write_text(json.dumps(record))
    assert find_form(files) is not None
    assert heard(model) == samples()[0].heard["fp32"]
    assert "cannot be used, using the model's own files" in caplog.text


def test_what_would_give_something_else_is_thrown_away(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """The int8 graph stands in for a wrong optimization by ONNX Runtime."""
    other = files.encoder.with_name("encoder-model.int8.onnx")
    real = opening.write_prepared

    def wrong(path: Path, target: Path, **options: object) -> None:
        given = {"content": None} if path == files.encoder else {}
        real(other if path == files.encoder else path, target, **(options | given))  # type: ignore[arg-type]

    monkeypatch.setattr(preparing, "write_prepared", wrong)
    with pytest.raises(PrepareFault, match="would return different results"):
        prepare(files, budget_bytes=PLENTY)
    assert stored_forms() == ()
    assert find_form(files) is None


def test_packed_weights_that_would_lie_out_of_line_are_left_to_the_loading(
    files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime writes them consecutively; a kernel that uses aligned loads on them crashes with a signal."""
    monkeypatch.setattr(opening, "OUTSIDE_BYTES", 1024)
    form = prepare(files, budget_bytes=PLENTY)
    joint = form.decoder[1]
    assert packed_offsets(joint) == []
    mapped = ParakeetRecognizer.open(files, prepared=form)
    assert mapped.recognize_samples(samples()[0].wave()).text == samples()[0].heard["fp32"]


@pytest.mark.heavy
def test_the_oldest_gives_way_and_what_is_in_use_stays(model: Path, files: ModelFiles, tmp_path: Path) -> None:
    in_int8 = find_model(str(model), Precision.INT8)
    first, second = prepare(files, budget_bytes=PLENTY), prepare(in_int8, budget_bytes=PLENTY)
    shutil.copytree(model, tmp_path / "other")
    other = find_model(str(tmp_path / "other"), Precision.INT8)
    sizes = {form.directory: form.size for form in stored_forms()}
    for_both = sizes[first.directory] + 2 * prepared.source_bytes(other)
    prepare(other, budget_bytes=for_both, in_use=lambda form: form.directory == first.directory)
    assert find_form(files) == first
    assert find_form(in_int8) is None
    assert find_form(other) is not None
    assert second.directory not in {form.directory for form in stored_forms()}


def test_more_than_is_allowed_is_not_made(files: ModelFiles) -> None:
    with pytest.raises(PrepareFault, match=r"raise `prepared_gb` under \[model\]"):
        prepare(files, budget_bytes=1e6)
    assert stored_forms() == ()


def test_a_full_disk_is_told_beforehand(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "SPARE_BYTES", 10**18)
    with pytest.raises(PrepareFault, match="The disk is too full"):
        prepare(files, budget_bytes=PLENTY)


def test_the_threads_of_a_model_that_is_worth_it_are_tried(files: ModelFiles) -> None:
    form = prepare(files, budget_bytes=PLENTY)
    assert (form.threads, form.decoder_threads) == (0, 0), "those of a small model are not"
    counts = {0, *(physical_cores() >> halvings for halvings in range(physical_cores().bit_length()))}
    assert set(fastest_threads(files, form)) <= counts, "0 if the machine is busy with other tests"


def test_a_busy_machine_does_not_say_how_many_threads_are_fastest() -> None:
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        assert least_s(lambda: sum(range(100_000)), patience=1) is None
    finally:
        for each in busy:
            each.kill()
            each.wait()
    assert clearly_fastest({4: 1.0, 2: None, 1: 0.5}) == 0


def test_as_many_threads_as_cores_unless_fewer_are_clearly_faster() -> None:
    assert clearly_fastest({4: 1.0, 2: 0.95, 1: 1.8}) == 4
    assert clearly_fastest({4: 1.0, 2: 0.85, 1: 0.88}) == 2
    assert clearly_fastest({1: 3.0}) == 1


def test_what_was_fastest_is_recorded_and_used(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "WORTH_BYTES", 1)
    monkeypatch.setattr(preparing, "fastest_threads", lambda *_: (2, 1))
    form = prepare(files, budget_bytes=PLENTY)
    assert (form.threads, form.decoder_threads) == (2, 1)
    opened: list[int] = []
    real = opening.session_options

    def watched(threads: int = 0, **options: bool) -> object:
        opened.append(threads)
        return real(threads, **options)

    monkeypatch.setattr(opening, "session_options", watched)
    monkeypatch.setattr("coldvoxd.engines.parakeet.opening.physical_cores", lambda: 2)
    ParakeetRecognizer.open(files, prepared=form)
    assert opened == [2, 1, 1]
    opened.clear()
    ParakeetRecognizer.open(files, threads=3, prepared=form)
    assert opened == [3, 3, 3], "an explicit number is used"


def test_what_was_left_unfinished_goes(files: ModelFiles, cache: Path) -> None:
    left = cache / ".0123.partial"
    left.mkdir(parents=True)
    (left / "encoder.onnx.data").write_bytes(bytes(10))
    form = prepare(files, budget_bytes=PLENTY)
    assert [stored.directory for stored in stored_forms()] == [form.directory]


# A start in two stages.


@pytest.fixture
def utterance() -> Utterance:
    return Utterance(1, 1, 0, samples()[0].wave(), EndReason.ENDPOINT)


def test_the_first_stage_serves_until_the_second_is_there(files: ModelFiles, utterance: Utterance) -> None:
    first, second = ParakeetRecognizer.open(files), ParakeetRecognizer.open(files)
    go_on = threading.Event()

    def open_second() -> ParakeetRecognizer:
        assert go_on.wait(60)
        return second

    staged = StagedRecognizer(first, open_second)
    assert staged.recognize(utterance).text == samples()[0].heard["fp32"]
    assert staged._serving is first
    go_on.set()
    assert staged.second_stage.wait(60)
    assert staged._serving is second
    assert staged.recognize(utterance).text == samples()[0].heard["fp32"]
    with pytest.raises(Exception, match="closed"):
        first.recognize(utterance)
    staged.close()
    with pytest.raises(Exception, match="closed"):
        second.recognize(utterance)


def test_a_second_stage_that_comes_after_the_end_is_closed(files: ModelFiles, utterance: Utterance) -> None:
    second = ParakeetRecognizer.open(files)
    go_on = threading.Event()

    def open_second() -> ParakeetRecognizer:
        assert go_on.wait(60)
        return second

    staged = StagedRecognizer(ParakeetRecognizer.open(files), open_second)
    staged.close()
    go_on.set()
    assert staged.second_stage.wait(60)
    with pytest.raises(Exception, match="closed"):
        second.recognize(utterance)


def test_without_a_second_stage_the_first_goes_on(
    files: ModelFiles, utterance: Utterance, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> ParakeetRecognizer:
        raise ModelInvalid("gone in the meantime")

    staged = StagedRecognizer(ParakeetRecognizer.open(files), refuse)
    assert staged.second_stage.wait(60)
    assert staged.recognize(utterance).text == samples()[0].heard["fp32"]
    assert "gone in the meantime" in caplog.text


def test_the_daemon_starts_in_two_stages_where_the_model_is_prepared(
    model: Path, files: ModelFiles, utterance: Utterance
) -> None:
    settings = ModelSettings(name=str(model))
    assert isinstance(open_staged(settings, Precision.FP32), ParakeetRecognizer)
    prepare(files, budget_bytes=PLENTY)
    staged = open_staged(settings, Precision.FP32)
    assert isinstance(staged, StagedRecognizer)
    assert staged.recognize(utterance).text == samples()[0].heard["fp32"]
    assert staged.second_stage.wait(60)
    assert staged.recognize(utterance).text == samples()[0].heard["fp32"]


# Requesting the preparation.


class Units:
    """A manager through which the daemon starts units."""

    def __init__(self, *, refusing: bool = False) -> None:
        self.started: list[str] = []
        self._refusing = refusing

    async def start(self, unit: str, /) -> None:
        if self._refusing:
            raise UnitRefused("there is no systemd")
        self.started.append(unit)


@pytest.fixture
def felt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat even the small model as worth preparing."""
    monkeypatch.setattr(prepared, "WORTH_BYTES", 1)


@pytest.mark.usefixtures("felt")
async def test_the_daemon_asks_once_and_no_more_once_it_is_done(model: Path, files: ModelFiles) -> None:
    settings, units = ModelSettings(name=str(model)), Units()
    await have_prepared(settings, lambda: units)
    assert units.started == ["coldvoxd-prepare.service"]
    await asyncio.to_thread(prepare, files, budget_bytes=PLENTY)
    await have_prepared(settings, lambda: units)
    await have_prepared(replace(settings, precision="int8", prepare=False), lambda: units)
    assert units.started == ["coldvoxd-prepare.service"]


async def test_a_small_model_is_left_as_it_is(model: Path) -> None:
    units = Units()
    await have_prepared(ModelSettings(name=str(model)), lambda: units)
    await have_prepared(ModelSettings(name=str(model / "gone")), lambda: units)
    assert units.started == []


@pytest.mark.usefixtures("felt")
async def test_who_cannot_have_it_done_goes_on_without(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", preparation.log.name)
    await have_prepared(ModelSettings(name=str(model)), lambda: Units(refusing=True))
    assert "`coldvoxctl model prepare`, but not automatically: there is no systemd" in caplog.text
