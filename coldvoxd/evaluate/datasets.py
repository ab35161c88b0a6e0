"""Finds the layout of a data set, and reads its recordings and texts."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from coldvoxd.audio.suffixes import SUFFIXES
from coldvoxd.evaluate.clips import Clip, ClipFault, Dataset, DatasetFault
from coldvoxd.evaluate.manifests import MANIFESTS, rows

LAYOUTS = (
    "LibriSpeech's folders (SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt), a manifest (manifest.jsonl, manifest.csv), or "
    "recordings with a text file of the same name beside each (a.flac, a.txt)"
)
_TRANSCRIPTS = ".trans.txt"


def read(place: Path) -> Dataset:
    """Read a data set: a directory, or a manifest file.

    Faults of single recordings are in the result; recordings are not opened. Raises DatasetFault if there is no data set.
    """
    if not place.exists():
        raise DatasetFault(f"There is no {place}: give the directory of a data set, or a manifest.")
    if place.is_file():
        if place.suffix.lower() not in MANIFESTS:
            raise DatasetFault(f"{place} is neither a directory nor a manifest (.jsonl, .csv, .tsv).")
        return _dataset(place, *_of_manifest(place))
    try:
        if transcripts := sorted(place.rglob(f"*{_TRANSCRIPTS}")):
            return _dataset(place, "librispeech", _of_librispeech(place, transcripts))
        manifests = [file for suffix in MANIFESTS if (file := place / f"manifest{suffix}").is_file()]
        if manifests:
            return _dataset(place, *_of_manifest(manifests[0]))
        if recordings := _recordings(place):
            return _dataset(place, "folder", _of_folder(place, recordings))
    except OSError as error:
        raise DatasetFault(f"{place} cannot be read: {error.strerror or error}.") from error
    raise DatasetFault(f"{place} has no data set. It must hold {LAYOUTS}.")


_Found = Iterable[Clip | ClipFault]


def _dataset(place: Path, layout: str, found: _Found) -> Dataset:
    """Sort what was found into clips and faults: no text, no recording, an id that another clip has."""
    clips: dict[str, Clip] = {}
    faults: list[ClipFault] = []
    for entry in found:
        match entry:
            case ClipFault():
                faults.append(entry)
            case Clip() if not entry.reference.strip():
                faults.append(ClipFault(entry.id, "its text is empty"))
            case Clip() if not entry.path.is_file():
                faults.append(ClipFault(entry.id, f"there is no recording {entry.path}"))
            case Clip() if entry.id in clips:
                faults.append(ClipFault(entry.id, f"this name is taken by {clips[entry.id].path}"))
            case Clip():
                clips[entry.id] = entry
    ordered = sorted(clips.values(), key=lambda clip: clip.id)
    return Dataset(place, layout, tuple(ordered), tuple(faults))


def _recordings(place: Path) -> list[Path]:
    """Return the recordings below a directory; a folder is none, whatever its name, and a link to nothing is."""
    named = (path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in named if not path.is_dir() and not _is_hidden(place, path))


def _is_hidden(place: Path, path: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(place).parts)


def _of_librispeech(place: Path, transcripts: Iterable[Path]) -> Iterator[Clip | ClipFault]:
    """Each line of a transcript is an id and a text; the recording has the id as its name. Ids begin with the speaker's."""
    seen: set[Path] = set()
    for transcript in transcripts:
        beside = {path.stem: path for path in sorted(transcript.parent.iterdir()) if path.suffix.lower() in SUFFIXES}
        for number, line in enumerate(_text(transcript).splitlines(), 1):
            if not line.strip():
                continue
            name, _, text = line.strip().partition(" ")
            speaker = name.partition("-")[0] if "-" in name else ""
            path = beside.get(name)
            if path is None:
                where = f"{transcript.relative_to(place)}, line {number}"
                yield ClipFault(name, f"there is no {name}.flac beside {where}")
                continue
            seen.add(path)
            yield Clip(name, path, text, speaker, text_file=transcript)
    for path in _recordings(place):
        if path not in seen:
            yield ClipFault(str(path.relative_to(place)), f"no {_TRANSCRIPTS} beside it has its text")


def _of_folder(place: Path, recordings: Iterable[Path]) -> Iterator[Clip | ClipFault]:
    for path in recordings:
        name, text = str(path.relative_to(place)), path.with_suffix(".txt")
        if text.is_file():
            own = str(path.relative_to(place).with_suffix(""))
            yield Clip(own, path, " ".join(_text(text).split()), text_file=text)
        else:
            yield ClipFault(name, f"there is no {text.name} beside it")


def _of_manifest(file: Path) -> tuple[str, _Found]:
    entries = [
        replace(entry, id=_relative(entry.id, file.parent), text_file=file) if isinstance(entry, Clip) else entry
        for entry in rows(file, _text(file))
    ]
    if not entries:
        raise DatasetFault(f"{file} has no rows: each names a recording and its text.")
    return ("jsonl" if MANIFESTS[file.suffix.lower()] is None else "csv"), entries


def _relative(name: str, folder: Path) -> str:
    """Return an id that is a path below the manifest's folder without that folder."""
    return name.removeprefix(f"{folder}/")


def _text(path: Path) -> str:
    """Raises DatasetFault."""
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise DatasetFault(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise DatasetFault(f"{path} is not UTF-8 text: convert it, for example with `iconv -t UTF-8`.") from error
