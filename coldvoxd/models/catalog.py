"""The models that can be downloaded by name: those that coldvoxd knows, and those listed in a `models.toml`.

A model of one's own in the same layout is listed in ~/.config/coldvoxd/models.toml or /etc/xdg/coldvoxd/models.toml:

    [our-parakeet]
    repository = "us/our-parakeet-onnx"
    revision = "0123456789abcdef0123456789abcdef01234567"   # a commit, never a branch
    precisions = ["fp32", "int8"]
    external_data = false                                    # whether fp32 has an encoder-model.onnx.data; or a list of precisions
    seam = "window"                                          # what `seam = "auto"` under [dictation] means for it
    languages = ["de", "en"]                                 # those it recognizes; default: all that its vocabulary has
    max_utterance_s = { int8 = 15 }                          # cut longer audio, for a precision that loses words in it
    temperature = 1.0                                        # divides its scores before they become confidences

A model in another layout lists its files instead of `precisions` and `external_data`:

    [our-rnnt]
    repository = "us/our-rnnt-onnx"
    revision = "0123456789abcdef0123456789abcdef01234567"
    files = { int8 = ["vocab.txt", "encoder.int8.onnx", "encoder.int8.onnx.data", "decoder_joint.onnx"] }

Sizes and hashes are then the hub's. Names that coldvoxd knows itself can't be given another meaning.
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from coldvoxd.core.decoding_options import COLDEST, HOTTEST
from coldvoxd.core.errors import SettingsError
from coldvoxd.core.languages import is_code
from coldvoxd.core.seams import SeamMethod
from coldvoxd.core.settings import EndpointSettings, limits_of
from coldvoxd.core.sizes import size_text
from coldvoxd.core.text_formats import NotToml, toml_tables
from coldvoxd.core.values import Precision
from coldvoxd.models.file_names import files_in
from coldvoxd.models.published_models import PUBLISHED, PublishedFile, PublishedModel, file_names, pull_command
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.text_files import read_text, why_unread

FILE = "models.toml"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_REVISION = re.compile(r"[0-9a-f]{40}")
_KEYS = {
    "repository",
    "revision",
    "precisions",
    "external_data",
    "files",
    "seam",
    "languages",
    "max_utterance_s",
    "temperature",
}
_SHORTEST_S, _LONGEST_S = limits_of(EndpointSettings, "max_utterance_s")
"""Limits of `max_utterance_s`, those of the settings."""


def published(name: str) -> PublishedModel | None:
    """The model of that name; None if it is not published. Raises SettingsError, which names the faulty list."""
    return PUBLISHED.get(name) or known_models().get(name)


def known_models() -> Mapping[str, PublishedModel]:
    """All published models by name. Raises SettingsError."""
    found = dict(PUBLISHED)
    for path in _files():
        for name, model in _read(path):
            found.setdefault(name, model)
    return found


def max_utterance_s(name: str, precision: Precision) -> float:
    """Maximum length in seconds of audio for a model; infinity if none is known. Reads files."""
    try:
        model = published(name)
    except SettingsError:  # reported where the list is needed
        return math.inf
    return math.inf if model is None else model.max_utterance_s.get(precision, math.inf)


def fetch_hint(name: str, precision: Precision) -> str:
    """How a user can get the missing model, as a sentence. Raises SettingsError."""
    model = published(name)
    if precision is Precision.FP16:
        return f"Convert fp32 on this machine: `coldvoxctl model prepare {name} --precision fp16`."
    if model is None or precision not in model.files:
        known = ", ".join(f"`{known}`" for known in known_models())
        return f"Published models are {known}; `mini` is bundled for testing."
    size = model.size(precision)
    amount = f" ({size_text(size)})" if size >= 0 else ""
    return f"Download it{amount}: `{pull_command(name, precision)}`."


def _files() -> Iterator[Path]:
    for directory in (base_directories.config_home(), *base_directories.config_dirs()):
        yield directory / base_directories.APPLICATION / FILE


def _read(path: Path) -> Iterator[tuple[str, PublishedModel]]:
    try:
        tables = toml_tables(read_text(path))
    except (FileNotFoundError, NotADirectoryError) as fault:
        if path.is_symlink():
            raise SettingsError(f"{path} cannot be read: {why_unread(fault)}.") from fault
        return
    except (OSError, UnicodeDecodeError) as fault:
        raise SettingsError(f"{path} cannot be read: {why_unread(fault)}.") from fault
    except NotToml as fault:
        raise SettingsError(f"{path} {fault}") from fault
    for name, table in tables.items():
        try:
            yield name, _model(name, table)
        except ValueError as fault:
            raise SettingsError(f"{path}, [{name}]: {fault}") from fault


def _model(name: str, table: object) -> PublishedModel:
    if not _NAME.fullmatch(name):
        raise ValueError("a model's name has letters, digits, `.`, `_` and `-`, and starts with a letter or digit.")
    if not isinstance(table, dict):
        raise ValueError(f"`{name}` is not a section; write [{name}] on a line of its own.")  # noqa: TRY004 - one kind for all
    if unknown := table.keys() - _KEYS:
        raise ValueError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(sorted(_KEYS))}.")
    repository, revision = table.get("repository"), table.get("revision")
    if not isinstance(repository, str) or not _REPOSITORY.fullmatch(repository):
        raise ValueError("`repository` must be a string such as `owner/name`.")
    if not isinstance(revision, str) or not _REVISION.fullmatch(revision):
        raise ValueError("`revision` must be the 40 hex digits of a commit, so that the weights never change.")
    files = _listed_files(table) if "files" in table else _usual_files(table)
    seam = table.get("seam", SeamMethod.WINDOW)
    if seam not in list(SeamMethod):
        raise ValueError(f"`seam` must be one of {', '.join(SeamMethod)}.")
    longest = _max_utterance_s(table.get("max_utterance_s", {}))
    temperature = table.get("temperature", 1.0)
    if (
        not isinstance(temperature, int | float)
        or isinstance(temperature, bool)
        or not COLDEST <= temperature <= HOTTEST
    ):
        raise ValueError(f"`temperature` must be a number from {COLDEST:g} to {HOTTEST:g}.")
    spoken = _languages(table.get("languages"))
    return PublishedModel(repository, revision, files, longest, SeamMethod(seam), spoken, float(temperature))


def _usual_files(table: Mapping[str, object]) -> dict[Precision, tuple[PublishedFile, ...]]:
    """The files of a model in onnx-asr's layout. Raises ValueError."""
    wanted = _precisions(table.get("precisions", ["fp32"]), "precisions")
    outside = table.get("external_data", False)
    if not isinstance(outside, bool | list):
        raise ValueError("`external_data` must be true, false or a list of precisions.")  # noqa: TRY004 - one kind for all
    beside = _precisions(outside, "external_data") if outside and not isinstance(outside, bool) else [Precision.FP32]
    return {
        precision: tuple(
            PublishedFile(file) for file in file_names(precision, external_data=bool(outside) and precision in beside)
        )
        for precision in wanted
    }


def _listed_files(table: Mapping[str, object]) -> dict[Precision, tuple[PublishedFile, ...]]:
    """The files of a model in any layout, the encoder's graph last. Raises ValueError."""
    if both := {"precisions", "external_data"} & table.keys():
        raise ValueError(f"`files` stands in place of {', '.join(f'`{key}`' for key in sorted(both))}.")
    listed = table["files"]
    if not isinstance(listed, dict):
        raise ValueError("`files` must list names by precision, such as { int8 = [...] }.")  # noqa: TRY004 - one kind for all
    found = {}
    for precision in _precisions(list(listed), "files"):
        names = listed[precision]
        if not isinstance(names, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
            raise ValueError("`files` must list names of files, without folders.")
        parts = files_in(names, precision)
        if parts is None:
            raise ValueError(f"`files` lists no whole model in {precision}: see the layouts in the manual.")
        found[precision] = tuple(map(PublishedFile, sorted(names, key=lambda name, last=parts.encoder: name == last)))  # type: ignore[misc] # the default is bound
    return found


def _precisions(listed: object, key: str) -> list[Precision]:
    """Raises ValueError."""
    known = [str(precision) for precision in Precision]
    if not isinstance(listed, list) or not listed or any(text not in known for text in listed):
        raise ValueError(f"`{key}` must list some of {', '.join(known)}.")
    return [Precision(text) for text in listed]


def _languages(listed: object) -> tuple[str, ...] | None:
    """Raises ValueError."""
    if listed is None:
        return None
    if (
        not isinstance(listed, list)
        or not listed
        or not all(isinstance(code, str) and is_code(code) for code in listed)
    ):
        raise ValueError("`languages` must list codes of two letters, such as `de`.")
    return tuple(sorted(set(listed)))


def _max_utterance_s(table: object) -> dict[Precision, float]:
    """Raises ValueError."""
    known = [str(precision) for precision in Precision]
    if not isinstance(table, dict) or any(name not in known for name in table):
        raise ValueError(f"`max_utterance_s` must give seconds by precision: {', '.join(known)}.")
    for seconds in table.values():
        if (
            not isinstance(seconds, int | float)
            or isinstance(seconds, bool)
            or not _SHORTEST_S <= seconds <= _LONGEST_S
        ):
            raise ValueError(f"`max_utterance_s` must have seconds from {_SHORTEST_S:g} to {_LONGEST_S:g}.")
    return {Precision(name): float(seconds) for name, seconds in table.items()}
