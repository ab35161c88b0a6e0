"""Prepares a model for this machine: optimized graphs and packed weights, in files that are mapped instead of loaded.

Runs in coldvoxctl and its unit, never in the daemon.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.core.errors import PrepareFault
from coldvoxd.core.features import log_mel
from coldvoxd.core.prepared_form import PreparedForm
from coldvoxd.core.sizes import size_text
from coldvoxd.core.values import ModelFiles, Precision, Token
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.golden.clip import clip
from coldvoxd.models.lock import alone
from coldvoxd.models.prepared_store import (
    WORTH_BYTES,
    StoredForm,
    complete_form,
    find_form,
    form_path,
    forms_directory,
    remove_form,
    remove_unfit,
    source_bytes,
    stored_forms,
)
from coldvoxd.native.opening import open_session, write_prepared
from coldvoxd.onnx_graph.decoder_split import cut
from coldvoxd.onnx_graph.external_data import packed_offsets
from coldvoxd.onnx_graph.partition import cut as cut_in_pieces
from coldvoxd.preparation.encoder_rewrite import RewrittenEncoder, reshaped_encoder
from coldvoxd.preparation.thread_tuning import fastest_threads

ALIGNMENT = 64
"""Alignment in bytes that AVX-512 requires."""
GROWTH = 2.0
"""Size of a form relative to the model: it has the original and the packed weights, and a table of positions."""
CLOSE = 1e-4
"""Maximum difference of an encoder's output with such a table and without masks, relative to the greatest value. No
difference has been observed yet."""
FRAME_COLUMNS = 8
"""Feature columns per frame."""
COPIES = 3
"""Number of copies of an encoder's file, possibly with its weights, in memory while it is rewritten."""
SPARE_BYTES = 500_000_000
"""Bytes kept free on the disk, and in memory in addition to the model."""


def prepare(
    files: ModelFiles,
    *,
    budget_bytes: float,
    threads: int = 0,
    in_use: Callable[[StoredForm], bool] = lambda _form: False,
    again: bool = False,
    tell: Callable[[str], None] = lambda _said: None,
) -> PreparedForm:
    """Build the model's form for this machine's CPU if there is none. With `again` an existing one is removed first.

    Other forms are deleted to stay within the budget; those `in_use` are kept. The new form must return the same tokens as the model's files, from frames that
    differ by at most `CLOSE`, otherwise it is discarded; in int8, the same as the files return for the same columns.
    Needs the memory of the loaded model, and briefly more. Raises PrepareFault or ModelInvalid; blocks for many
    seconds.
    """
    root = forms_directory()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with alone(root, "prepare", lambda: tell("another coldvoxctl is preparing a model")):
            if (found := find_form(files)) is not None and not again:
                return found
            for form in stored_forms():
                if found is not None and form.directory == found.directory:
                    remove_form(form)
            remove_unfit()
            _make_room(root, files, budget_bytes, in_use)
            return _made(form_path(files), files, threads, tell)
    except OSError as fault:
        raise PrepareFault(
            f"The prepared form cannot be stored in {root}: {fault.strerror or fault}. The model works without it."
        ) from fault


def _made(directory: Path, files: ModelFiles, threads: int, tell: Callable[[str], None]) -> PreparedForm:
    with _partial(directory) as partial:
        tell(f"optimizing {files.name} ({files.precision})")
        encoder = partial / "encoder.onnx"
        weights = encoder.with_name(f"{encoder.name}.data")
        reshaped = reshaped_encoder(files, threads, tell)
        pieces = _write_encoder(files, encoder, threads, reshaped.content)
        decoder = _write_decoder(files, partial, threads)
        form = PreparedForm(partial, pieces, weights, decoder, masks=reshaped.masks)
        tell("comparing its results")
        # In int8 an additional empty column may add a frame, which widens the ranges of all frames: compared without
        # it.
        plain = _given(files, None, threads, masks=reshaped.masks or files.precision is Precision.FP32)
        if reshaped.content is not None and not plain.is_close(_given(files, form, threads), CLOSE):
            tell("without masks and with a position table the results would differ: not used")
            weights.unlink(missing_ok=True)
            form = replace(form, masks=True, encoder=_write_encoder(files, encoder, threads, None))
            reshaped = RewrittenEncoder()
            plain = _given(files, None, threads)
        if reshaped.content is None and not plain.is_close(_given(files, form, threads), 0):
            raise PrepareFault(
                f"Prepared, {files.name} ({files.precision}) would return different results than unprepared: not used."
            )
        if source_bytes(files) < WORTH_BYTES:  # a small model is fast with any number
            encoder_threads = decoder_threads = 0
        else:
            tell("measuring the fastest number of threads")
            encoder_threads, decoder_threads = fastest_threads(files, form, tell)
        complete_form(partial, files, replace(form, threads=encoder_threads, decoder_threads=decoder_threads))
        partial.rename(directory)
    found = find_form(files)
    if found is None:
        raise PrepareFault(f"{files.directory} was changed while it was being prepared; prepare it again.")
    return found


def _write_encoder(files: ModelFiles, target: Path, threads: int, content: bytes | None) -> tuple[Path, ...]:
    """Like `_write`, but split into parts, which are stored in the order in which they run."""
    _write(files.encoder, target, threads, content)

    def types(model: bytes) -> dict[str, str]:
        session = open_session(target, threads=threads, packed=False, content=model, prepared=True)
        return {name: kind.dtype.name for name, kind in (*session.inputs.items(), *session.outputs.items())}

    parts = cut_in_pieces(target.read_bytes(), types)
    pieces = tuple(target.with_name(f"{target.stem}-{number}.onnx") for number in range(len(parts)))
    for piece, part in zip(pieces, parts, strict=True):
        piece.write_bytes(part)
    target.unlink()
    return pieces


def _write_decoder(files: ModelFiles, into: Path, threads: int) -> tuple[Path, ...]:
    """Like `_write` for the decoder, cut in two if possible; nothing if the model has none."""
    parts = tuple(into / f"{part}.onnx" for part in ("prediction", "joint"))
    if len(files.decoder) != 1:
        for source, target in zip(files.decoder, parts, strict=False):
            _write(source, target, threads)
        return parts[: len(files.decoder)]
    (source,) = files.decoder
    halves = cut(source.read_bytes())
    if halves is None:
        whole = into / "decoder_joint.onnx"
        _write(source, whole, threads)
        return (whole,)
    for target, content in zip(parts, (halves.prediction, halves.joint), strict=True):
        _write(source, target, threads, content)
    return parts


def _write(source: Path, target: Path, threads: int, content: bytes | None = None) -> None:
    """Write a graph with packed weights, unless ONNX Runtime stores them where its kernels crash with a signal."""
    write_prepared(source, target, threads=threads, content=content)
    if any(offset % ALIGNMENT for offset in packed_offsets(target)):
        target.with_name(f"{target.name}.data").unlink()
        write_prepared(source, target, threads=threads, packed=False, content=content)


@contextlib.contextmanager
def _partial(directory: Path) -> Iterator[Path]:
    """A temporary directory for a new form, removed at the end unless it was renamed to `directory`."""
    partial = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Given:
    """What a model computes for the golden clip."""

    encoded: tuple[npt.NDArray[np.float32], ...]
    tokens: tuple[tuple[Token, ...], ...]
    of_noise: tuple[Token, ...]
    """Tokens of synthetic frames, which do not depend on the encoder."""

    def is_close(self, other: "_Given", part: float) -> bool:
        """Whether the frames differ by at most that share of the greatest value, and the tokens are the same.

        If `part` is 0, the scores of the tokens must be the same, too.
        """
        if self.of_noise != other.of_noise:
            return False
        for ours, theirs in zip(self.encoded, other.encoded, strict=True):
            if ours.shape != theirs.shape or not float(np.abs(ours - theirs).max()) <= part * float(np.abs(ours).max()):
                return False
        return [*map(_ids, self.tokens)] == [*map(_ids, other.tokens)] if part else self.tokens == other.tokens


def _ids(tokens: tuple[Token, ...]) -> list[tuple[int, int]]:
    return [(token.id, token.encoder_frame) for token in tokens]


def _given(files: ModelFiles, form: PreparedForm | None, threads: int, *, masks: bool = True) -> _Given:
    """Results for the whole clip, and for the part that fills its frames exactly: empty columns change int8 results."""
    recognizer = ParakeetRecognizer.open(files, threads=threads, prepared=form, masks=None if masks else False)
    try:
        features = log_mel(clip(), recognizer.features_size)
        filling = features.shape[1] // FRAME_COLUMNS * FRAME_COLUMNS
        encoded = tuple(recognizer.encode(features[:, :columns]) for columns in (features.shape[1], filling))
        noise = np.random.default_rng(0).normal(0, 1, encoded[0].shape).astype(np.float32)
        return _Given(encoded, tuple(map(recognizer.decode, encoded)), recognizer.decode(noise))
    finally:
        recognizer.close()


def _make_room(root: Path, files: ModelFiles, budget_bytes: float, in_use: Callable[[StoredForm], bool]) -> None:
    """Delete forms that must make room. Raises PrepareFault if that is not enough."""
    needed = GROWTH * source_bytes(files)
    forms = list(stored_forms())
    kept = [form for form in forms if in_use(form)]
    if needed + sum(form.size for form in kept) > budget_bytes:
        beside = f" beside the {size_text(sum(form.size for form in kept))} of those in use" if kept else ""
        raise PrepareFault(
            f"The prepared form of {files.name} ({files.precision}) takes {size_text(needed)}{beside}, and {size_text(budget_bytes)} "
            "are allowed: raise `prepared_gb` under [model]. The model works without it."
        )
    for form in [form for form in forms if form not in kept]:
        if needed + sum(each.size for each in forms) <= budget_bytes:
            break
        remove_form(form)
        forms.remove(form)
    free = shutil.disk_usage(root).free
    if free < needed + SPARE_BYTES:
        raise PrepareFault(
            f"The disk is too full: the prepared form of {files.name} takes {size_text(needed)}, {size_text(SPARE_BYTES)} are left "
            f"free, and {root} has {size_text(free)}. Make room, or set XDG_CACHE_HOME to a larger disk."
        )
    memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
        memory = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    taken = source_bytes(files) + COPIES * files.encoder.stat().st_size + SPARE_BYTES
    if memory < taken:
        raise PrepareFault(
            f"Preparing {files.name} ({files.precision}) takes {size_text(taken)} of memory, and "
            f"{size_text(memory)} are free: close other programs and try again. The model works without it."
        )
