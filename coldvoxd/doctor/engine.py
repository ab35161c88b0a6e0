"""Checks ONNX Runtime and the execution provider that a real session gets."""

import contextlib
import importlib.metadata
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from coldvoxd import settings_file
from coldvoxd.core.errors import ColdvoxError, ProviderUnavailable, SettingsError
from coldvoxd.core.settings import ModelSettings
from coldvoxd.doctor.finding import Doing, Finding, fail, ok, warn
from coldvoxd.doctor.software import INSTALL_AGAIN
from coldvoxd.models.provider_trials import stored_trials

LEAST = (1, 31)
"""Older versions hold the GIL while a session loads, which stops audio capture."""
WHEELS = ("onnxruntime", "onnxruntime-gpu")
GRAPH = Path(__file__).parents[1] / "data" / "silero" / "silero_vad_16k_op15.onnx"
AUTO = "auto"


def check() -> Iterator[Finding | Doing]:
    """Check the installed wheel, then a session on the provider in the settings."""
    yield from wheels(_installed())
    yield Doing("engine", "loading ONNX Runtime", INSTALL_AGAIN)
    try:
        from coldvoxd.native import providers
    except (ImportError, OSError) as error:
        yield fail("engine", f"ONNX Runtime cannot be loaded: {error}", INSTALL_AGAIN)
        return
    offered = providers.available_providers()
    yield ok("engine", f"ONNX Runtime offers {', '.join(offered)}")
    settings = ModelSettings(provider=providers.CPU)  # if they are invalid, the settings check reports it
    with contextlib.suppress(SettingsError):
        settings = settings_file.load().model
    wanted = settings.provider
    if wanted.startswith("virtual:"):
        yield warn(
            "provider",
            f"the simulated accelerator {wanted} is set",
            'for real recognition set `provider = "auto"` under [model]',
        )
        wanted = providers.CPU
    elif wanted == AUTO:
        wanted, trials = _automatic(settings.accelerator_min_speedup, providers.likely_accelerators())
        yield from trials
    yield from _sessions(list(dict.fromkeys((wanted, providers.CPU))))


def _automatic(min_speedup: float, likely: Sequence[str]) -> tuple[str, list[Finding]]:
    """The provider that `auto` tries or has chosen, and its stored trials: the daemon takes one for each model."""
    stored = {trial.provider: trial for trial in reversed(list(stored_trials(time.time())))}
    found = [
        ok(
            "auto",
            f"{trial.told(min_speedup).rstrip('.')} ({time.strftime('%Y-%m-%d', time.localtime(trial.taken_s))})",
        )
        for trial in stored.values()
    ]
    untried = [name for name in likely if name not in stored or stored[name].is_fast_enough(min_speedup)]
    return (untried[0] if untried else "cpu"), found


def wheels(installed: dict[str, str]) -> Iterator[Finding]:
    """Check that exactly one build of ONNX Runtime is installed, and a recent one: two builds overwrite each other."""
    shown = ", ".join(f"{name} {version}" for name, version in installed.items())
    if not installed:
        yield fail("engine", "ONNX Runtime is not installed", INSTALL_AGAIN)
    elif len(installed) > 1:
        remedy = "keep one: pip uninstall onnxruntime onnxruntime-gpu, then reinstall coldvoxd"
        yield fail("engine", f"{shown} are both installed and overwrite each other", remedy)
    elif any(_release(version) < LEAST for version in installed.values()):
        yield fail("engine", f"{shown} is too old: it stops capture while a model loads", INSTALL_AGAIN)
    else:
        yield ok("engine", shown)


def _installed() -> dict[str, str]:
    found = {}
    for name in WHEELS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())


def _sessions(ladder: list[str]) -> Iterator[Finding | Doing]:
    """Open a real session on the first provider that works; the CPU is last, as in the daemon."""
    from coldvoxd.core.provider_names import short_name
    from coldvoxd.native.opening import open_session

    for name in ladder:
        yield Doing("provider", f"opening a session on {name}", 'set `provider = "cpu"` under [model]')
        try:
            session = open_session(GRAPH, name, threads=1)
        except ProviderUnavailable as error:
            yield warn("provider", str(error), 'fix what it names, or set `provider = "cpu"` under [model]')
            continue
        except ColdvoxError as error:
            yield fail("provider", str(error), INSTALL_AGAIN)
            return
        where = f", on {session.device}" if session.device else ""
        yield ok("provider", f"a session runs on {short_name(session.provider)}{where}")
        session.close()
        return
    yield fail("provider", f"no session on {' or '.join(ladder)}", INSTALL_AGAIN)
