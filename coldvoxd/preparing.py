"""Prepares a model for this machine: its graphs optimized, its weights packed, in files that are mapped instead of loaded.

Runs in coldvoxctl and its unit, never in the daemon.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coldvoxd.asr.halves import cut
from coldvoxd.asr.parakeet import ParakeetRecognizer
from coldvoxd.asr.pieces import cut as cut_in_pieces
from coldvoxd.core.errors import PrepareFault
from coldvoxd.core.features import log_mel
from coldvoxd.core.values import ModelFiles, Precision, PreparedForm, Token
from coldvoxd.golden import clip
from coldvoxd.models.lock import alone
from coldvoxd.models.onnxfile import packed_offsets
from coldvoxd.models.prepared import (
    WORTH_BYTES,
    StoredForm,
    find_form,
    form_path,
    forms_directory,
    remove_form,
    remove_unfit,
    source_bytes,
    stored_forms,
    write_record,
)
from coldvoxd.ort import open_session, physical_cores, write_prepared
from coldvoxd.reshaping import Reshaped, reshaped_encoder

ALIGNMENT = 64
"""Bytes: what AVX-512 asks of an address."""
TRIES = 4
PATIENCE = 4
"""So many times as many are begun until that many were undisturbed."""
QUIET = 0.1
"""Of all processors, what others may take meanwhile."""
LONG_ENOUGH_S = 0.2
"""For the kernel's count of who took what, which is in hundredths of a second."""
_TICKS_IN_S = os.sysconf("SC_CLK_TCK")
CLEARLY = 0.1
"""By so much faster fewer threads must be."""
GROWTH = 2.0
"""A form holds the weights as they were and as they are packed, and a table of positions."""
CLOSE = 1e-4
"""How far what an encoder gives may be off with such a table and without masks, as a part of the greatest. None was off yet."""
FRAME_COLUMNS = 8
"""Feature columns to one frame."""
COPIES = 3
"""In which an encoder's file, whose weights may be inside, is in memory while it is rewritten."""
SPARE_BYTES = 500_000_000
"""Left free on the disk, and in memory beside the model."""


def prepare(
    files: ModelFiles,
    *,
    budget_bytes: float,
    threads: int = 0,
    in_use: Callable[[StoredForm], bool] = lambda _form: False,
    tell: Callable[[str], None] = lambda _said: None,
) -> PreparedForm:
    """The model's form for this machine's CPU, made where there is none; other forms go where the budget demands it.

    Those `in_use` stay. What is made gives the same tokens as the files themselves, of frames that are off by `CLOSE` at most,
    or is thrown away; in int8, as the files give of the same columns. Needs the memory of the loaded model, and more for a
    moment. Raises PrepareFault or ModelInvalid; blocks for many seconds.
    """
    root = forms_directory()
    try:
        root.mkdir(parents=True, exist_ok=True)
        with alone(root, "prepare", lambda: tell("another coldvoxctl prepares a model")):
            if (found := find_form(files)) is not None:
                return found
            remove_unfit()
            _make_room(root, files, budget_bytes, in_use)
            return _made(form_path(files), files, threads, tell)
    except OSError as fault:
        raise PrepareFault(
            f"The prepared form can't be stored in {root}: {fault}. The model works without it."
        ) from fault


def _made(directory: Path, files: ModelFiles, threads: int, tell: Callable[[str], None]) -> PreparedForm:
    with _partial(directory) as partial:
        tell(f"optimizing {files.name} ({files.precision})")
        encoder = partial / "encoder.onnx"
        weights = encoder.with_name(f"{encoder.name}.data")
        reshaped = reshaped_encoder(files, threads, tell)
        pieces = _write_encoder(files, encoder, threads, reshaped.content)
        halves = cut(files.decoder_joint.read_bytes())
        if halves is None:
            form = PreparedForm(partial, pieces, weights, (partial / "decoder_joint.onnx",))
            _write(files.decoder_joint, form.decoder[0], threads)
        else:
            form = PreparedForm(
                partial, pieces, weights, (partial / "prediction.onnx", partial / "joint.onnx"), halves.link
            )
            for target, content in zip(form.decoder, (halves.prediction, halves.joint), strict=True):
                _write(files.decoder_joint, target, threads, content)
        form = replace(form, masks=reshaped.masks)
        tell("comparing what it gives")
        # In int8 an empty column more may make a frame more, which widens the ranges of them all: compared is without it.
        plain = _given(files, None, threads, masks=reshaped.masks or files.precision is Precision.FP32)
        if reshaped.content is not None and not plain.is_close(_given(files, form, threads), CLOSE):
            tell("without masks and with a table of positions it would give something else: left as it is")
            weights.unlink(missing_ok=True)
            form = replace(form, masks=True, encoder=_write_encoder(files, encoder, threads, None))
            reshaped = Reshaped()
            plain = _given(files, None, threads)
        if reshaped.content is None and not plain.is_close(_given(files, form, threads), 0):
            raise PrepareFault(
                f"Prepared, {files.name} ({files.precision}) would give something else than as it is: not used."
            )
        tell("trying how many threads are fastest")
        encoder_threads, decoder_threads = fastest_threads(files, form, tell)
        write_record(partial, files, replace(form, threads=encoder_threads, decoder_threads=decoder_threads))
        partial.rename(directory)
    found = find_form(files)
    if found is None:
        raise PrepareFault(f"{files.directory} was changed while it was being prepared; prepare it again.")
    return found


def _write_encoder(files: ModelFiles, target: Path, threads: int, content: bytes | None) -> tuple[Path, ...]:
    """As `_write`, and cut in pieces, which stand in the order in which they run."""
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


def _write(source: Path, target: Path, threads: int, content: bytes | None = None) -> None:
    """With packed weights, unless ONNX Runtime puts them where its kernels can't read them: then it dies of a signal."""
    write_prepared(source, target, threads=threads, content=content)
    if any(offset % ALIGNMENT for offset in packed_offsets(target)):
        target.with_name(f"{target.name}.data").unlink()
        write_prepared(source, target, threads=threads, packed=False, content=content)


@contextlib.contextmanager
def _partial(directory: Path) -> Iterator[Path]:
    """A directory in which a form is made; it is gone afterwards, unless it became `directory`."""
    partial = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Given:
    """What is computed of the golden clip."""

    encoded: tuple[npt.NDArray[np.float32], ...]
    tokens: tuple[tuple[Token, ...], ...]
    of_noise: tuple[Token, ...]
    """Of frames that are the same however they would be encoded."""

    def is_close(self, other: "_Given", part: float) -> bool:
        """Whether the frames are off by no more than that part of the greatest, and the tokens the same.

        Where `part` is 0 also the tokens' scores.
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
    """Of all of the clip, and of as much as fills its frames: an empty column more makes a frame more of that."""
    recognizer = ParakeetRecognizer.open(files, threads=threads, prepared=form)
    recognizer.masks = recognizer.masks and masks
    try:
        features = log_mel(clip(), recognizer.features_size)
        filling = features.shape[1] // FRAME_COLUMNS * FRAME_COLUMNS
        encoded = tuple(recognizer.encode(features[:, :columns]) for columns in (features.shape[1], filling))
        noise = np.random.default_rng(0).normal(0, 1, encoded[0].shape).astype(np.float32)
        return _Given(encoded, tuple(map(recognizer.decode, encoded)), recognizer.decode(noise))
    finally:
        recognizer.close()


def fastest_threads(
    files: ModelFiles, form: PreparedForm, tell: Callable[[str], None] = lambda _: None
) -> tuple[int, int]:
    """With how many the encoder and the decoder are fastest, of as many as there are cores, and fewer by halves.

    Fewer only where that is clearly faster. 0, which stands for as many as there are cores, for a model so small that it doesn't
    matter, and on a machine that is busy all the time: there fewer threads wait for less, and would be taken for good.
    """
    if source_bytes(files) < WORTH_BYTES:
        return 0, 0
    candidates = [physical_cores()]
    while candidates[-1] > 1:
        candidates.append(candidates[-1] // 2)
    if len(candidates) == 1:
        return 1, 1
    encoding: dict[int, float | None] = {}
    decoding: dict[int, float | None] = {}
    for threads in candidates:
        recognizer = ParakeetRecognizer.open(files, threads=threads, prepared=form)
        features = log_mel(clip(), recognizer.features_size)
        encoded = recognizer.encode(features)
        encoding[threads] = least_s(partial(recognizer.encode, features))
        decoding[threads] = least_s(partial(recognizer.decode, encoded))
        recognizer.close()
    if None in (*encoding.values(), *decoding.values()):
        tell("the machine was too busy to try how many threads are fastest: there will be as many as cores")
    return clearly_fastest(encoding), clearly_fastest(decoding)


def clearly_fastest(seconds: Mapping[int, float | None]) -> int:
    """The number of threads that takes least, the most threads unless another is faster by `CLEARLY`; 0 where one is unknown."""
    known = {threads: took for threads, took in seconds.items() if took is not None}
    if len(known) < len(seconds):
        return 0
    most = max(known)
    least = min(known, key=lambda threads: known[threads])
    return least if known[least] < (1 - CLEARLY) * known[most] else most


def least_s(work: Callable[[], object]) -> float | None:
    """Of `TRIES` measurements during which the machine did little else; None where it never was quiet for so long."""
    took: list[float] = []
    for _ in range(PATIENCE * TRIES):
        others_s, began_s, times = _others_s(), time.perf_counter(), 0
        while (spent_s := time.perf_counter() - began_s) < LONG_ENOUGH_S or not times:
            work()
            times += 1
        if _others_s() - others_s <= QUIET * spent_s * physical_cores() + 2 / _TICKS_IN_S:
            took.append(spent_s / times)
        if len(took) == TRIES:
            return min(took)
    return None


def _others_s() -> float:
    """What all processors together did for other processes since some moment, proc_stat(5)."""
    user, nice, system, _idle, _io, interrupts, soft, steal = (
        int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    times = os.times()
    return (user + nice + system + interrupts + soft + steal) / _TICKS_IN_S - times.user - times.system


def _make_room(root: Path, files: ModelFiles, budget_bytes: float, in_use: Callable[[StoredForm], bool]) -> None:
    """Remove what must give way. Raises PrepareFault where that isn't enough."""
    needed = GROWTH * source_bytes(files)
    forms = list(stored_forms())
    kept = [form for form in forms if in_use(form)]
    if needed + sum(form.size for form in kept) > budget_bytes:
        beside = f" beside the {_gb(sum(form.size for form in kept))} of those in use" if kept else ""
        raise PrepareFault(
            f"The prepared form of {files.name} ({files.precision}) takes {_gb(needed)}{beside}, and {_gb(budget_bytes)} "
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
            f"The disk is too full: the prepared form of {files.name} takes {_gb(needed)}, {_gb(SPARE_BYTES)} are left "
            f"free, and {root} has {_gb(free)}. Make room, or set XDG_CACHE_HOME to a larger disk."
        )
    memory = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text("utf-8").splitlines()
        memory = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    taken = source_bytes(files) + COPIES * files.encoder.stat().st_size + SPARE_BYTES
    if memory < taken:
        raise PrepareFault(
            f"Preparing {files.name} ({files.precision}) takes {_gb(taken)} of memory, and "
            f"{_gb(memory)} are free: close something and try again. The model works without it."
        )


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
