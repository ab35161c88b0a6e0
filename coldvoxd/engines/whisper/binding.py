"""whisper.cpp through pywhispercpp's extension module: the only module that imports it.

The package around the extension module is not imported, because it contains a downloader. The extension module releases
the interpreter's lock while it loads and while it recognizes.
"""

import atexit
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from coldvoxd.core.errors import LibraryUnusable, ModelInvalid, ResourcesExhausted
from coldvoxd.core.shortage import MEMORY, shortage
from coldvoxd.native.extras import install_command

log = logging.getLogger(__name__)

REQUIREMENT = "pywhispercpp>=1.5.1,<1.6"
"""As in pyproject.toml. Later minor versions may change the extension module."""
ERROR = 4
"""whisper.cpp's level of messages about what fails."""

_loading: list[list[str]] = []
"""For each load in progress, what whisper.cpp reported as an error since its start."""


def library() -> Any:
    """Return the extension module, whose messages go to our log. Raises LibraryUnusable."""
    try:
        import _pywhispercpp
    except ImportError as error:
        if error.name != "_pywhispercpp":
            raise LibraryUnusable.because(error) from error
        raise LibraryUnusable(
            f"The engine whisper needs the extra `whisper`, which is missing: install it with `{install_command(REQUIREMENT)}`."
        ) from error
    _pywhispercpp.whisper_log_set(_note)
    # The module's own reference to the function outlives the interpreter, which would abort the process at its end.
    atexit.unregister(_forget)
    atexit.register(_forget, _pywhispercpp)
    return _pywhispercpp


def load(whisper: Any, path: Path) -> Any:
    """Load a model that `ggml_file` accepts, and return its context. Raises ModelInvalid or ResourcesExhausted."""
    parameters = whisper.whisper_context_default_params()
    parameters.use_gpu = False
    parameters.flash_attn = False  # its sums in fp16 change words beside the reference
    messages: list[str] = []
    _loading.append(messages)
    try:
        context = whisper.whisper_init_from_file_with_params(str(path), parameters)
    except MemoryError as error:
        raise ResourcesExhausted(MEMORY) from error
    finally:
        _loading.remove(messages)
    if not messages:
        return context
    # The context is null, which only the messages show; any use of it but this one would end the process.
    whisper.whisper_free(context)
    reason = "; ".join(messages)
    if lack := shortage(RuntimeError(reason)) or ("allocate" in reason and MEMORY):
        raise ResourcesExhausted(lack)
    raise ModelInvalid(f"whisper.cpp cannot load {path}: {reason}")


def _note(level: int, text: str) -> None:
    """Receive a message of whisper.cpp, on any thread. None of them has spoken text."""
    if level == ERROR:
        for messages in tuple(_loading):
            messages.append(text.strip())
        log.debug("whisper.cpp: %s", text.strip())


def _forget(whisper: Any) -> None:
    unset: Callable[[None], None] = whisper.whisper_log_set
    unset(None)
