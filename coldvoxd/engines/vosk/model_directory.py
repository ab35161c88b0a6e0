"""Checks the directory of a Vosk model before it is loaded, because Vosk says only that loading failed.

Source of the layout: `Model::ConfigureV1`, `Model::ConfigureV2` and `Model::ReadDataFiles` in vosk-api's src/model.cc.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from coldvoxd.core.errors import ModelInvalid, ModelMissing

REMEDY = (
    "`fallback_model` under [model] must be an unpacked model directory of Vosk, such as vosk-model-small-en-us-0.15"
)
WHOLE_GRAPH = "HCLG.fst"
GRAPH_IN_TWO = ("HCLr.fst", "Gr.fst")


def check_directory(directory: Path) -> None:
    """Raise ModelMissing or ModelInvalid, which names what is missing, with the remedy."""
    try:
        is_there, is_directory = directory.exists(), directory.is_dir()
        missing = list(_missing(directory))
        unreadable = [file for file in directory.rglob("*") if not os.access(file, os.R_OK)]
    except OSError as error:
        raise ModelInvalid(f"{directory} cannot be read: {error.strerror or error}") from error
    if not is_there:
        raise ModelMissing(f"There is no directory {directory}", REMEDY)
    if not is_directory:
        raise ModelInvalid(f"{directory} is a file", REMEDY)
    if missing:
        raise ModelInvalid(f"{directory} lacks {', '.join(missing)}", REMEDY)
    if unreadable:
        raise ModelInvalid(f"{unreadable[0]} cannot be read by this user: change its permissions or its owner")


def _missing(directory: Path) -> Iterator[str]:
    """Yield the files that the layout requires and the directory lacks: `am` and `graph`, or all in one directory."""
    is_new = (directory / "am").is_dir()
    am, graph, configuration = ("am/", "graph/", "conf/") if is_new else ("", "", "")
    for file in (f"{am}final.mdl", f"{configuration}mfcc.conf"):
        if not (directory / file).is_file():
            yield file
    if not (directory / graph / WHOLE_GRAPH).is_file():
        for file in GRAPH_IN_TWO:
            if not (directory / graph / file).is_file():
                yield f"{graph}{file}"
    if not any((directory / graph / file).is_file() for file in ("words.txt", GRAPH_IN_TWO[1])):
        yield f"{graph}words.txt"
