"""The files that a Parakeet model directory must have."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.foreign_models import REMEDY, kind_of_files, kind_of_type
from coldvoxd.core.model_kinds import ModelKind
from coldvoxd.core.text_formats import json_value
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.catalog import fetch_hint
from coldvoxd.models.file_names import CONFIGURATION, expected_files, files_in
from coldvoxd.onnx_graph.external_data import check_whole, external_files


def precisions(directory: Path) -> tuple[Precision, ...]:
    """The precisions whose graphs and vocabulary are in the directory; no graph is opened."""
    names = _names_in(directory)
    return tuple(precision for precision in Precision if files_in(names, precision) is not None)


def model_files(name: str, directory: Path, precision: Precision) -> ModelFiles:
    """The files of a complete model. Raises ModelInvalid, which names a missing or truncated file."""
    names = _names_in(directory)
    said = model_type(directory / CONFIGURATION) if CONFIGURATION in names else ""
    if kind := kind_of_type(said):
        raise ModelInvalid(f"The model directory {directory} has {kind}: config.json says model_type {said!r}", REMEDY)
    located = files_in(names, precision, ctc_first=said == ModelKind.CTC)
    expected = located or expected_files(names, precision)
    found = ModelFiles(
        name=name,
        directory=directory,
        precision=precision,
        encoder=directory / expected.encoder,
        decoder=tuple(directory / part for part in expected.decoder),
        vocabulary=directory / expected.vocabulary,
        config=directory / CONFIGURATION if CONFIGURATION in names else None,
    )
    if located is None:
        entries = {entry.name for entry in directory.iterdir()}
        if not precisions(directory) and (kind := kind_of_files(entries)):
            raise ModelInvalid(f"The model directory {directory} has {kind}", REMEDY)
        missing = [path.name for path in (*found.graphs, found.vocabulary) if path.name not in names]
        others = [str(other) for other in precisions(directory)]
        raise ModelInvalid(
            f"The model directory {directory} lacks {', '.join(missing)}"
            + (f"; it has precision {' and '.join(others)}, set `precision` under [model]" if others else ""),
            fetch_hint(name, precision),
        )
    _check_readable(found.vocabulary, *([found.config] if found.config else ()))
    problems = [problem for graph in found.graphs for problem in _problems(graph)]
    if problems:
        raise ModelInvalid("; ".join(problems), fetch_hint(name, precision))
    return found


def model_type(configuration: Path) -> str:
    """`model_type` of config.json; empty if it has none or cannot be read, which opening the model reports."""
    try:
        content: Any = json_value(configuration.read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    value = content.get("model_type") if isinstance(content, dict) else None
    return value if isinstance(value, str) else ""


def _names_in(directory: Path) -> set[str]:
    """The files in a directory; links to nothing are none."""
    return {entry.name for entry in directory.iterdir() if entry.is_file()}


def _check_readable(*paths: Path) -> None:
    """Raise ModelInvalid, which names the first file that this user may not read."""
    for path in paths:
        if not os.access(path, os.R_OK):
            raise ModelInvalid(f"{path} cannot be read by this user: change its permissions or its owner")


def _problems(graph: Path) -> Iterator[str]:
    _check_readable(graph)
    try:
        check_whole(graph)
        needed = external_files(graph)
    except ValueError as error:
        yield f"{graph} {error}"
        return
    for location, size in needed.items():
        data = graph.parent / location
        if not data.is_file():
            yield f"{data} is missing, which holds the weights of {graph.name}"
            continue
        _check_readable(data)
        if _is_outside(graph, data):
            yield (
                f"{data} is a link to {data.resolve()}, and ONNX Runtime loads weights only from the graph's directory: "
                f"copy the file there, or link {graph.name} to the same directory too"
            )
            continue
        if data.stat().st_size < size:
            yield f"{data} is truncated: {data.stat().st_size} of at least {size} bytes are there"


def _is_outside(graph: Path, data: Path) -> bool:
    """Whether ONNX Runtime refuses these weights (seen with 1.31).

    They must be below the directory of the graph, or below that of the file to which the graph is linked.
    """
    places = (graph.parent.resolve(), graph.resolve().parent)
    return not any(data.resolve().is_relative_to(place) for place in places)
