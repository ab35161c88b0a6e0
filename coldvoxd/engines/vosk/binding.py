"""libvosk through cffi: the only module that loads it.

The library and its generated declarations are in the package vosk. The package itself is not imported, because it imports a
downloader, which opens a network socket. cffi releases the interpreter's lock during each call. Source of the functions: vosk_api.h.
"""

from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from coldvoxd.core.errors import LibraryUnusable, ProviderFault
from coldvoxd.native.extras import install_command

REQUIREMENT = "vosk>=0.3.45,<0.4"
"""As in pyproject.toml."""
QUIET = -1
"""Vosk's log level for errors only: it would write to standard error what it recognizes."""


class VoskLibrary:
    """libvosk. Any thread; each object of the library is used on one thread at a time."""

    def __init__(self, ffi: Any, library: Any) -> None:
        self._ffi = ffi
        self._library = library
        library.vosk_set_log_level(QUIET)

    def load_model(self, directory: Path) -> Any | None:
        """Return a model, None if Vosk cannot load it. It is freed by `free_model`."""
        return self._unless_null(self._library.vosk_model_new(str(directory).encode()))

    def free_model(self, model: Any) -> None:
        self._library.vosk_model_free(model)

    def make_recognizer(self, model: Any, rate: int) -> Any | None:
        """Return a recognizer that returns words with times, None if the model is damaged. It frees itself."""
        recognizer = self._unless_null(self._library.vosk_recognizer_new(model, float(rate)))
        if recognizer is None:
            return None
        self._library.vosk_recognizer_set_words(recognizer, 1)
        return self._ffi.gc(recognizer, self._library.vosk_recognizer_free)

    def accept(self, recognizer: Any, samples: bytes) -> bool:
        """Decode int16 samples, and return whether a part of the speech is complete. Raises ProviderFault."""
        found = self._library.vosk_recognizer_accept_waveform(recognizer, samples, len(samples))
        if found < 0:
            raise ProviderFault("Vosk failed to decode the audio.")
        return bool(found)

    def result(self, recognizer: Any) -> str:
        """Return the JSON of the complete part."""
        return self._text(self._library.vosk_recognizer_result(recognizer))

    def final_result(self, recognizer: Any) -> str:
        """Return the JSON of what remains."""
        return self._text(self._library.vosk_recognizer_final_result(recognizer))

    def _text(self, characters: Any) -> str:
        return bytes(self._ffi.string(characters)).decode(errors="replace")

    def _unless_null(self, pointer: Any) -> Any | None:
        return None if pointer == self._ffi.NULL else pointer


@cache
def library() -> VoskLibrary:
    """Return the library, loaded once. Raises LibraryUnusable."""
    package = find_spec("vosk")
    if package is None or not package.submodule_search_locations:
        raise LibraryUnusable(
            f"The engine vosk needs the extra `vosk`, which is missing: install it with `{install_command(REQUIREMENT)}`."
        )
    directory = Path(package.submodule_search_locations[0])
    try:
        ffi = _declarations(directory / "vosk_cffi.py")
        return VoskLibrary(ffi, ffi.dlopen(str(directory / "libvosk.so")))
    except (ImportError, OSError, AttributeError) as error:
        raise LibraryUnusable.because(error) from error


def _declarations(file: Path) -> Any:
    """Return the cffi object of the generated module."""
    spec = spec_from_file_location("_coldvoxd_vosk_cffi", file)
    if not isinstance(spec, ModuleSpec) or spec.loader is None:
        raise ImportError(f"{file} cannot be imported", path=str(file))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ffi
