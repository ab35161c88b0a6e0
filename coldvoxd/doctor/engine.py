"""Checks ONNX Runtime and the execution provider that a real session gets."""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

from coldvoxd import settings_file
from coldvoxd.core.errors import ColdvoxError, ProviderUnavailable, SettingsError
from coldvoxd.doctor.finding import Doing, Finding, fail, ok, warn
from coldvoxd.doctor.software import INSTALL_AGAIN

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
    yield ok("engine", f"ONNX Runtime was built with {', '.join(offered)}")
    try:
        wanted = settings_file.load().model.provider
    except SettingsError:
        wanted = providers.CPU  # the settings check reports it
    if wanted.startswith("virtual:"):
        yield warn(
            "provider",
            f"the simulated accelerator {wanted} is set",
            'for real recognition set `provider = "auto"` under [model]',
        )
        wanted = providers.CPU
    elif wanted == AUTO:
        wanted = providers.likely_accelerator() or providers.CPU
    yield from _sessions(list(dict.fromkeys((wanted, providers.CPU))))


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
        yield ok("provider", f"a session runs on {short_name(session.provider)}")
        session.close()
        return
    yield fail("provider", f"no session on {' or '.join(ladder)}", INSTALL_AGAIN)
