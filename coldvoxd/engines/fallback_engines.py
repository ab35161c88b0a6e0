"""Finds the fallback engine that the settings name, and the path of its model."""

from importlib.metadata import entry_points
from pathlib import Path

from coldvoxd.core.errors import LibraryUnusable, ModelMissing, shown
from coldvoxd.core.fallback import ENTRY_POINTS, FallbackEngine


def find_engine(name: str) -> FallbackEngine:
    """Return the engine of an entry point. Blocks: it reads files. Raises LibraryUnusable."""
    for found in entry_points(group=ENTRY_POINTS, name=name):
        try:
            engine = found.load()
        except (ImportError, AttributeError) as error:
            raise LibraryUnusable.because(error) from error
        if isinstance(engine, FallbackEngine):
            return engine
    raise LibraryUnusable(f"This installation has no engine {name}: reinstall coldvoxd")


def model_path(text: str) -> Path:
    """Return the path in the setting `fallback_model`. Raises ModelMissing if it is none."""
    if not text:
        raise ModelMissing("`fallback_model` under [model] is not set: it is the path of the fallback engine's model")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise ModelMissing(f"There is no home directory for `fallback_model` = {shown(text)}") from error
    if not path.is_absolute() or "\0" in text:
        raise ModelMissing(f"`fallback_model` under [model] must be an absolute path, not {shown(text)}")
    return path
