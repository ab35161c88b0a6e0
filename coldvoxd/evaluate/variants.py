"""What is measured in one run: combinations of settings of coldvoxd, and other engines beside it."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from coldvoxd import settings_file
from coldvoxd.core.errors import InvalidOption, SettingsError
from coldvoxd.core.settings import Settings
from coldvoxd.evaluate.engines import OWN, Engine, OwnEngine
from coldvoxd.evaluate.peers import PEERS, open_peer

SHORT = {
    "model": "model.name",
    "precision": "model.precision",
    "provider": "model.provider",
    "threads": "model.threads",
    "seam": "dictation.seam",
    "language": "dictation.language",
}
"""Short names of the settings that are compared most."""
_NOT_OF_FILES = {
    "model.accelerator_min_speedup",
    "model.fallback",
    "model.fallback_model",
    "model.fetch",
    "model.standby",
    "model.standby_precision",
    "model.prepare",
    "model.prepared_gb",
    "model.unload_after_s",
}
_OF_FILES = {"dictation.seam", "dictation.seam_s", "dictation.language"}


@dataclass(frozen=True, slots=True)
class Variant:
    """One engine with one choice of settings."""

    name: str
    """Such as `precision=int8 provider=cpu`."""
    settings: Settings = field(repr=False)
    engine: str = OWN
    directory: Path | None = None
    """Model of another engine."""

    def open(self) -> Engine:
        """Load the model. Blocks for seconds. Raises ColdvoxError."""
        if self.engine == OWN:
            return OwnEngine(self.settings)
        return open_peer(self.engine, self.settings.model, self.directory)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A setting, and the values that are compared."""

    key: str
    """As given: a short name, or section and key."""
    values: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Comparison":
        """Read `KEY=VALUE,VALUE`. Raises InvalidOption."""
        key, sign, given = text.partition("=")
        values = tuple(value.strip() for value in given.split(",") if value.strip())
        if not sign or not values or len(set(values)) < len(values):
            raise InvalidOption(
                f"--compare {text}: write KEY=VALUE,VALUE with different values, as in precision=fp32,int8."
            )
        if full_key(key) not in comparable():
            names = ", ".join([*SHORT, *sorted(comparable() - set(SHORT.values()))])
            raise InvalidOption(
                f"--compare {text}: {key!r} is no setting that changes how recordings are recognized: {names}."
            )
        return cls(key.strip(), values)


def full_key(key: str) -> str:
    """Return section and key of a setting."""
    return SHORT.get(key.strip(), key.strip())


def comparable() -> set[str]:
    """Return the settings that can change the text of a recording, or how long it takes, as section and key."""
    keys = {f"{doc.section}.{doc.key}" for doc in settings_file.describe() if doc.section == "model"}
    return (keys | _OF_FILES) - _NOT_OF_FILES


def changed(settings: Settings, values: Mapping[str, str]) -> Settings:
    """Return settings with other values, checked as those in the file are. Raises InvalidOption."""
    docs = {f"{doc.section}.{doc.key}": doc for doc in settings_file.describe()}
    for key, value in values.items():
        doc = docs[full_key(key)]
        try:
            checked = settings_file.checked(doc, value, f"{key}={value}")
        except SettingsError as error:
            raise InvalidOption(str(error)) from error
        section = replace(getattr(settings, doc.section), **{doc.key: checked})
        settings = replace(settings, **{doc.section: section})
    return settings


def variants(settings: Settings, comparisons: Sequence[Comparison], engines: Iterable[str]) -> list[Variant]:
    """Return all combinations of the compared values, the first one first, and the other engines.

    An engine is `NAME` or `NAME=DIRECTORY`. Raises InvalidOption.
    """
    found = []
    for values in itertools.product(*(comparison.values for comparison in comparisons)):
        chosen = {comparison.key: value for comparison, value in zip(comparisons, values, strict=True)}
        name = " ".join(f"{key}={value}" for key, value in chosen.items()) or OWN
        found.append(Variant(name, changed(settings, chosen)))
    for text in engines:
        engine, _, directory = text.partition("=")
        if engine not in PEERS:
            raise InvalidOption(f"--engine {text}: the engines beside coldvoxd are {', '.join(PEERS)}.")
        if directory and not Path(directory).is_dir():
            raise InvalidOption(f"--engine {text}: there is no directory {directory}. Models are not downloaded.")
        name = f"{engine} {Path(directory).name}" if directory else engine
        found.append(Variant(name, settings, engine, Path(directory) if directory else None))
    names = [variant.name for variant in found]
    if len(set(names)) < len(names):
        raise InvalidOption("Two of the compared variants are the same: name each value and engine once.")
    return found
