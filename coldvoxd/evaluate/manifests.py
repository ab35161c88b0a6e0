"""Reads manifests: CSV with a head line, and JSON lines as NeMo writes them. One row per recording."""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from coldvoxd.core.text_formats import json_value
from coldvoxd.evaluate.clips import Clip, ClipFault, DatasetFault

MANIFESTS: dict[str, str | None] = {".jsonl": None, ".json": None, ".csv": ",", ".tsv": "\t"}
"""Suffixes of manifests, and what separates their columns; None for JSON lines."""
AUDIO = ("audio_filepath", "audio", "path", "file")
TEXT = ("text", "transcript", "sentence", "reference")
ID = ("id", "utterance_id")
SPEAKER = ("speaker", "speaker_id", "client_id")
OFFSET, DURATION = "offset", "duration"
"""Seconds: with an offset, which NeMo's manifests may have, a row is the part of a recording from there on."""


def rows(file: Path, content: str) -> Iterator[Clip | ClipFault]:
    """Yield the clip of each row, or what is wrong with the row. Paths are relative to the manifest.

    Raises DatasetFault if the manifest has no column of recordings or of texts.
    """
    separator = MANIFESTS[file.suffix.lower()]
    entries = _json_rows(content) if separator is None else _csv_rows(file, content, separator)
    for number, row in entries:
        where = f"{file.name}, line {number}"
        if isinstance(row, str):
            yield ClipFault(where, row)
        else:
            yield _clip(file.parent, row, where)


def _json_rows(content: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json_value(line)
        except ValueError as error:
            yield number, f"it is not JSON ({getattr(error, 'msg', error)}): each line must be one object"
            continue
        yield number, row if isinstance(row, dict) else "it is not a JSON object: each line must be one object"


def _csv_rows(file: Path, content: str, separator: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    quoting: Literal[0, 3] = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL  # as Common Voice writes them
    reader = csv.DictReader(io.StringIO(content), delimiter=separator, restval="", quoting=quoting)
    columns = [name.strip().lower() for name in reader.fieldnames or ()]
    for what, names in (("recordings", AUDIO), ("texts", TEXT)):
        if not set(names) & set(columns):
            raise DatasetFault(
                f"{file} has no column of {what}: its first line must name one of {', '.join(names)}; it has "
                f"{', '.join(columns) or 'nothing'}."
            )
    if twice := sorted({name for name in columns if name and columns.count(name) > 1}):
        raise DatasetFault(f"{file} has two columns {twice[0]}: rename one in its first line.")
    try:
        for row in reader:
            if surplus := row.get(None):
                yield reader.line_num, _too_long(len(columns), len(surplus), separator)
            else:
                yield reader.line_num, {str(name).strip().lower(): value for name, value in row.items()}
    except csv.Error as error:
        raise DatasetFault(f"{file}, after line {reader.line_num}: not a row of a table: {error}.") from error


def _too_long(columns: int, surplus: int, separator: str) -> str:
    """Return what is wrong with a row that has more columns than the first line: most likely a text with a comma."""
    remedy = "quote a text that has commas" if separator == "," else "a text must have no tabs"
    return f"it has {columns + surplus} columns, the first line {columns}: {remedy}"


def _clip(folder: Path, row: Mapping[str, Any], where: str) -> Clip | ClipFault:
    for names in (AUDIO, TEXT, ID, SPEAKER):
        if odd := next((name for name in names if not _is_word(row.get(name))), None):
            return ClipFault(where, f"`{odd}` is neither a text nor a number")
    audio, text = _first(row, AUDIO), _first(row, TEXT)
    if not audio:
        return ClipFault(where, f"it names no recording ({', '.join(AUDIO)})")
    path = folder / audio
    name = _first(row, ID) or audio
    if text is None:
        return ClipFault(name, f"it has no text ({', '.join(TEXT)})")
    speaker = _first(row, SPEAKER) or ""
    if _is_empty(row.get(OFFSET)):
        return Clip(name, path, text, speaker)
    try:
        begin_s = float(row[OFFSET])
        duration_s = None if _is_empty(row.get(DURATION)) else float(row[DURATION])
    except (TypeError, ValueError, OverflowError):
        return ClipFault(name, f"`{OFFSET}` and `{DURATION}` must be seconds")
    if not 0 <= begin_s < math.inf or not 0 < (duration_s or 1.0) < math.inf or duration_s == 0:
        return ClipFault(name, f"`{OFFSET}` must not be negative, and `{DURATION}` must be above 0")
    name = name if _first(row, ID) or not begin_s else f"{name}@{begin_s:g}"
    return Clip(name, path, text, speaker, begin_s, duration_s)


def _is_word(value: object) -> bool:
    return value is None or (isinstance(value, str | int | float) and not isinstance(value, bool))


def _is_empty(value: object) -> bool:
    return value is None or value == ""


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the value of the first column that the row has, as text; None if it has none."""
    return next((str(row[name]) for name in names if row.get(name) is not None), None)
