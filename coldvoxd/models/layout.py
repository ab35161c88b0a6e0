"""The files that a Parakeet model directory must have."""

import os
from collections.abc import Iterator
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid
from coldvoxd.core.values import ModelFiles, Precision
from coldvoxd.models.catalog import fetch_hint
from coldvoxd.models.file_names import CONFIGURATION, DECODER_JOINT, ENCODER, VOCABULARY, graph_name
from coldvoxd.onnx_graph.external_data import check_whole, external_files


def precisions(directory: Path) -> tuple[Precision, ...]:
    """The precisions whose graphs and vocabulary are in the directory; no file is opened."""
    if not (directory / VOCABULARY).is_file():
        return ()
    return tuple(
        precision
        for precision in Precision
        if all((directory / graph_name(part, precision)).is_file() for part in (ENCODER, DECODER_JOINT))
    )


def model_files(name: str, directory: Path, precision: Precision) -> ModelFiles:
    """The files of a complete model. Raises ModelInvalid, which names a missing or truncated file."""
    configuration = directory / CONFIGURATION
    found = ModelFiles(
        name=name,
        directory=directory,
        precision=precision,
        encoder=directory / graph_name(ENCODER, precision),
        decoder_joint=directory / graph_name(DECODER_JOINT, precision),
        vocabulary=directory / VOCABULARY,
        config=configuration if configuration.is_file() else None,
    )
    missing = [path.name for path in (found.encoder, found.decoder_joint, found.vocabulary) if not path.is_file()]
    if missing:
        others = [str(other) for other in precisions(directory)]
        raise ModelInvalid(
            f"The model directory {directory} lacks {', '.join(missing)}"
            + (f"; it has precision {' and '.join(others)}, set `precision` under [model]" if others else ""),
            fetch_hint(name, precision),
        )
    _check_readable(found.vocabulary, *([found.config] if found.config else ()))
    problems = [problem for graph in (found.encoder, found.decoder_joint) for problem in _problems(graph)]
    if problems:
        raise ModelInvalid("; ".join(problems), fetch_hint(name, precision))
    return found


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
