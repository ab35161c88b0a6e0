"""Converts a model's fp32 files to fp16 and int8 with ONNX Runtime's own converters, and tests the result.

Only coldvoxctl imports this: it takes the extra `prepare`, minutes, and gigabytes of memory.
"""

import contextlib
import glob
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from coldvoxd.core.errors import ConversionFault
from coldvoxd.core.golden_verdict import agrees, fair
from coldvoxd.core.sentences import clause
from coldvoxd.core.sizes import size_text
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.directories import bundled_directory, cache_directory
from coldvoxd.models.file_names import precision_name
from coldvoxd.models.lock import alone
from coldvoxd.models.manifest import identify
from coldvoxd.models.precision_store import (
    SourceFile,
    companions,
    files_of,
    find_converted,
    read_provenance,
    write_provenance,
)
from coldvoxd.native.ort import VERSION
from coldvoxd.onnx_graph.external_data import external_files

MEMORY = {Precision.FP16: 2.0, Precision.INT8: 3.3}
"""Memory, as a multiple of the size of the fp32 files: fp16 took 3.9 GB with 2.5 GB of files; 7.4 GB are reported for int8."""
DISK = {Precision.FP16: 0.6, Precision.INT8: 1.4}
"""Disk space, as a multiple of the size of the fp32 files, with the temporary files."""
LITTLE_BYTES = 300_000_000
"""Bytes for Python and the converters."""
_PARTIAL = ".partial"
EXTRA = (
    "Install them into the environment of coldvoxctl: `pipx inject coldvoxd 'onnx>=1.17' 'packaging>=23'`, or "
    f"`{sys.executable} -m pip install 'onnx>=1.17' 'packaging>=23'`."
)
"""The packages of the extra `prepare`."""


def convert(
    source: ModelFiles,
    precision: Precision,
    hear: Callable[[ModelFiles], str],
    report: Callable[[str], None] = lambda _: None,
) -> ModelFiles:
    """The model in that precision: the existing files if they are current, otherwise converted, tested and installed.

    `source` is fp32. `hear` returns the CPU's text for the golden clip with a model's files. `report` is called with each
    step. Refused before it starts if memory or disk space is lacking. Raises ConversionFault, or what `hear` raises.
    """
    if precision not in MEMORY:
        raise ConversionFault(f"fp16 and int8 are converted from fp32; {precision} is not.")
    there = find_converted(str(source.directory) if _is_own(source) else source.name, precision)
    if there is not None and _made_of(there, source):
        return there
    directory = target_directory(source)
    size = sum(path.stat().st_size for path in files_of(source))
    _check_memory(size, precision)
    _check_disk(size, precision, directory)
    with _workplace(directory, precision, report) as work:
        made = replace(
            source,
            precision=precision,
            encoder=work / precision_name(source.encoder.name, precision),
            decoder=tuple(work / precision_name(graph.name, precision) for graph in source.decoder),
        )
        for graph, target in zip(source.graphs, made.graphs, strict=True):
            report(f"making {target.name}")
            _write(graph, target, precision, is_encoder=graph == source.encoder)
        report("trying it")
        _try(made, source, hear)
        report("hashing the fp32 files")
        sources = tuple(_identified(path) for path in files_of(source))
        if directory.exists():
            return _put_in_place(made, source, directory, sources)
        complete = work / "complete"
        complete.mkdir()
        _put_in_place(made, source, complete, sources)
        complete.rename(directory)
        return _located(made, source, directory)


def target_directory(source: ModelFiles) -> Path:
    """Beside the fp32 files if the user may write there; otherwise, or for the package, in the cache under the model's name."""
    if _is_own(source):
        return source.directory
    return cache_directory() / source.name


def _is_own(source: ModelFiles) -> bool:
    return source.directory != bundled_directory() and os.access(source.directory, os.W_OK)


def _made_of(there: ModelFiles, source: ModelFiles) -> bool:
    """Whether these files were converted from the source, and not placed by hand or downloaded."""
    made_of = read_provenance(there.directory, there.precision)
    return made_of is None or {Path(one.path) for one in made_of} == {path.resolve() for path in files_of(source)}


def _write(graph: Path, target: Path, precision: Precision, *, is_encoder: bool) -> None:
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        from coldvoxd.models.fp16 import write_half
    except ImportError as fault:
        raise ConversionFault(f"The converters' packages are missing ({clause(str(fault))}). {EXTRA}") from fault
    try:
        if precision is Precision.FP16:
            write_half(graph, target)
            return
        # Types as of the published int8 files. The converter writes beside what it reads, so it reads a copy.
        kind = QuantType.QUInt8 if is_encoder else QuantType.QInt8
        with tempfile.TemporaryDirectory(dir=target.parent) as copies:
            for path in _files_of_graph(graph):
                shutil.copyfile(path, Path(copies) / path.name)
            quantize_dynamic(Path(copies) / graph.name, target, weight_type=kind)
    except (MemoryError, OSError) as fault:
        raise ConversionFault(
            f"{target.name} could not be converted: {clause(str(fault)) or 'out of memory'}."
        ) from fault
    except Exception as fault:  # whatever a converter makes of a graph that it doesn't understand
        raise ConversionFault(
            f"{target.name} could not be converted: the converter of ONNX Runtime {VERSION} failed "
            f"({type(fault).__name__}: {fault}). Please report it with the model's name."
        ) from fault


def _files_of_graph(graph: Path) -> tuple[Path, ...]:
    """The graph and its file of weights."""
    return (graph, *(graph.parent / name for name in sorted(external_files(graph))))


def _try(made: ModelFiles, source: ModelFiles, hear: Callable[[ModelFiles], str]) -> None:
    heard, truth = hear(made), hear(source)
    sound = agrees(heard, [truth]) if made.precision is Precision.FP16 else fair(heard, truth)
    if not sound:
        raise ConversionFault(
            f"{made.name} recognizes other words in the golden clip in {made.precision} than in fp32, so it is not used. "
            "Stay with fp32, and please report this with the model's name."
        )


def _put_in_place(made: ModelFiles, source: ModelFiles, directory: Path, sources: tuple[SourceFile, ...]) -> ModelFiles:
    """Install the files, the encoder's graph last: without it a directory counts as one without that precision."""
    try:
        for name, path in companions(source).items():
            if not (directory / name).exists():
                shutil.copyfile(path, directory / name)
        (directory / made.encoder.name).unlink(missing_ok=True)
        for path in reversed(files_of(made)):
            path.chmod(0o644)
            if path == made.encoder:
                write_provenance(directory, made.precision, sources, f"onnxruntime {VERSION}")
            path.replace(directory / path.name)
    except OSError as fault:
        raise ConversionFault(f"The converted files cannot be written to {directory}: {fault.strerror}.") from fault
    return _located(made, source, directory)


def _located(made: ModelFiles, source: ModelFiles, directory: Path) -> ModelFiles:
    return replace(
        made,
        directory=directory,
        encoder=directory / made.encoder.name,
        decoder=tuple(directory / graph.name for graph in made.decoder),
        vocabulary=directory / source.vocabulary.name,
        config=directory / source.config.name if source.config is not None else None,
    )


@contextlib.contextmanager
def _workplace(directory: Path, precision: Precision, report: Callable[[str], None]) -> Iterator[Path]:
    """A temporary directory on the file system of `directory`, also for the converters' own temporary files.

    While `directory` does not exist it is a hidden one beside it, so that an interrupted conversion, even by SIGKILL,
    leaves nothing that counts as a model. The next conversion removes it. An empty `directory` is removed at the end.
    """
    cache, before = cache_directory(), tempfile.tempdir
    place, prefix = (directory, f".{precision}-") if directory.exists() else _beside(directory, precision)
    try:
        for needed in (cache, place):
            needed.mkdir(parents=True, exist_ok=True)
        with alone(cache, "convert", lambda: report("waiting for another coldvoxctl, which converts a model")):
            for stale in place.glob(f"{glob.escape(prefix)}*{_PARTIAL}"):
                shutil.rmtree(stale, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=prefix, suffix=_PARTIAL, dir=place) as work:
                tempfile.tempdir = work
                yield Path(work)
    except OSError as fault:
        raise ConversionFault(f"{place} cannot be written to: {fault.strerror or fault}.") from fault
    finally:
        tempfile.tempdir = before
        with contextlib.suppress(OSError):  # it is not empty, or does not exist
            directory.rmdir()


def _beside(directory: Path, precision: Precision) -> tuple[Path, str]:
    """Where `model remove` finds partial files of the model, and how their names begin."""
    return directory.parent, f".{directory.name}-{precision}-"


def _identified(path: Path) -> SourceFile:
    found, identity = path.stat(), identify(path)
    return SourceFile(str(path.resolve()), found.st_size, found.st_mtime_ns, identity.sha256)


def _check_memory(size: int, precision: Precision, meminfo: Path = Path("/proc/meminfo")) -> None:
    needed = MEMORY[precision] * size + LITTLE_BYTES
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    free = 1024 * int(fields["MemAvailable"].split()[0])
    if free < needed:
        raise ConversionFault(
            f"Making {precision} takes {size_text(needed)} of memory, and {size_text(free)} are free. "
            "Close what you don't need and try again."
        )


def _check_disk(size: int, precision: Precision, directory: Path) -> None:
    needed = DISK[precision] * size
    existing = next(place for place in (directory, *directory.parents) if place.is_dir())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise ConversionFault(
            f"Making {precision} takes {size_text(needed)} of disk space, and {size_text(free)} are free in {directory}. "
            "Make room and try again."
        )
