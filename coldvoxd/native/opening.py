"""Opens ONNX Runtime sessions, and writes graphs as they run on this machine's CPU."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coldvoxd.core.errors import ModelInvalid, ProviderUnavailable, ResourcesExhausted
from coldvoxd.core.provider_names import device_name, short_name
from coldvoxd.core.shortage import shortage
from coldvoxd.native.device_choice import choose_nvidia, nvidia_version
from coldvoxd.native.ort import FAILURES, FATAL, VERSION, first_line, onnxruntime
from coldvoxd.native.plugins import is_plugin, plugin_device
from coldvoxd.native.processor import physical_cores
from coldvoxd.native.providers import (
    CPU,
    CPU_PROVIDER,
    CUDA_PROVIDER,
    TENSORRT_PROVIDER,
    full_name,
    preload_cuda,
    remedy,
)
from coldvoxd.native.session import OrtSession, SessionChain

OUTSIDE_BYTES = 65_536
"""In a prepared graph, smaller weights stay in the graph itself: outside, they would misalign what follows."""
LARGE_BYTES = 100_000_000
"""In a run of a graph with weights of this size its threads wait for each other a thousand times, for microseconds: sleeping
meanwhile costs a tenth of the run. The run also fills hundreds of megabytes, which are kept for the next one. A small graph's
run ends before either counts, and other programs want the cores and the memory too."""
_opening = threading.local()
"""`sessions`: those opened so far in a context of `closed_on_error`; None outside of it."""
ProviderOptions = Sequence[tuple[str, Mapping[str, str]]]
"""Full names of providers, each with its options."""
_ARENAS = frozenset({CUDA_PROVIDER, TENSORRT_PROVIDER})
"""Providers whose memory on the GPU is an arena of ONNX Runtime, which can be shrunk."""
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"
"""Where the weights of a graph lie that is opened from memory."""


def session_options(
    threads: int = 0, *, packed: bool = True, optimized: bool = False, spinning: bool = False
) -> "onnxruntime.SessionOptions":
    """Options of every session here; `threads` 0 means one for each physical core.

    `packed` False leaves the graph and the layout of its weights as the file has them: weights in a file of their own are
    mapped and not copied. `optimized` says that the graph is optimized already. `spinning` threads wait for each other
    without sleeping while a run lasts.

    Threads sleep between runs, and buffers come from the C library rather than from an arena, which would never return
    them, because a dictation daemon is idle nearly always: see `coldvoxd.native.malloc`.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or physical_cores()
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if optimized or not packed:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if not packed:
        options.add_session_config_entry("session.disable_prepacking", "1")
    return options


def open_session(
    path: Path,
    provider: str = CPU,
    *,
    threads: int = 0,
    packed: bool = True,
    provider_options: Mapping[str, str] | None = None,
    behind: ProviderOptions = (),
    content: bytes | None = None,
    prepared: bool = False,
    weights: Path | None = None,
) -> OrtSession:
    """Open a graph on the provider asked for, and on no other.

    `provider` is a short or a full name, and may name a device. `behind` are providers, with their options, that compute what
    the first one cannot; the CPU is always the last of them. `packed` False opens faster and in less memory, and runs slower: see
    `session_options`. `content` is the graph where it differs from the file's, with the file's own weights beside it.
    `prepared` says that `write_prepared` wrote the file: it needs no optimizing, and its packed weights are mapped.
    `weights` is their file, where it is not named after the graph.

    ONNX Runtime's own fallback is off: it would silently use another provider. Blocks, for seconds with a large model;
    any thread. Raises ModelInvalid where the file can't be loaded, ResourcesExhausted where memory or threads are lacking
    for that, and ProviderUnavailable where the session's first active provider is not `provider`.
    """
    asked = full_name(provider)
    if not path.is_file():
        raise ModelInvalid(f"{path} is missing: download the model again")
    large = _bytes(path, weights) >= LARGE_BYTES
    # Spinning threads take a third of the time in which an unpacked graph is opened, and gain it nothing.
    options = session_options(threads, packed=packed, optimized=prepared, spinning=large and packed)
    if content is not None:
        options.add_session_config_entry(_WEIGHTS_FOLDER, str(path.parent))
    try:
        device = use_device(provider, options, provider_options)
    except ProviderUnavailable as error:
        raise ProviderUnavailable(
            f'{path.name} cannot be opened on {short_name(asked)}: {error}, or set `provider = "cpu"` under [model]'
        ) from error
    source = str(path) if content is None else content
    providers = _providers(asked, provider_options, behind)
    try:
        native = onnxruntime.InferenceSession(source, options, providers=providers, enable_fallback=False)
    except FAILURES as error:
        raise _open_fault(path, asked, error) from error.with_traceback(None)
    opened = OrtSession(native, path, keeps_memory=large, device=device, shrinks=asked in _ARENAS)
    del native  # a traceback of the following error would keep it
    if (others := getattr(_opening, "sessions", None)) is not None:
        others.append(opened)
    if opened.provider != asked:
        raise ProviderUnavailable(
            f"{path.name} was to run on {short_name(asked)}, but ONNX Runtime would run it on "
            f"{short_name(opened.provider)}: {remedy(asked)}"
        )
    return opened


@contextmanager
def closed_on_error() -> Iterator[None]:
    """Close every session that this thread opens in the context, if the context ends with an error.

    The error's traceback would keep them, and with them a device that is lost until its last session is closed.
    """
    outer: list[OrtSession] | None = getattr(_opening, "sessions", None)
    opened: list[OrtSession] = []
    _opening.sessions = opened
    try:
        yield
    except BaseException:
        for session in opened:
            session.close()
        raise
    finally:
        _opening.sessions = outer


def use_device(
    provider: str, options: "onnxruntime.SessionOptions", provider_options: Mapping[str, str] | None = None
) -> str:
    """Choose the device of a provider, and return its name; empty for the CPU. Adds a plugin to the options of a session.

    Raises ProviderUnavailable where there is no such device.
    """
    if is_plugin(provider):
        try:
            chosen = plugin_device(provider)
            options.add_provider_for_devices(list(chosen.handles), dict(provider_options or {}))
        except FAILURES as error:
            raise ProviderUnavailable(f"ONNX Runtime reports {first_line(error)!r}") from error
        return chosen.name
    if full_name(provider) in _ARENAS:
        described = choose_nvidia(device_name(provider))
        preload_cuda()
        return described
    return ""


def identify(provider: str) -> tuple[str, str]:
    """The name of the device on which a session of this provider would run, and what a measurement on it is bound to.

    Both are empty for the CPU and for a provider that names none. Blocks while drivers are loaded. Raises
    ProviderUnavailable.
    """
    if is_plugin(provider):
        chosen = plugin_device(provider)
        return chosen.name, chosen.identity
    if full_name(provider) in _ARENAS:
        name = choose_nvidia(device_name(provider))
        return name, f"{name} {nvidia_version()}"
    return "", ""


def open_chain(paths: Sequence[Path], open_piece: Callable[[Path], OrtSession]) -> OrtSession:
    """The pieces of a graph, opened in parallel, as one session. Raises what `open_piece` raises."""
    if len(paths) == 1:
        return open_piece(paths[0])
    with ThreadPoolExecutor(physical_cores(), "opening") as pool:
        opening = [pool.submit(open_piece, path) for path in paths]
    failed = next((fault for fault in (each.exception() for each in opening) if fault is not None), None)
    if failed is not None:
        for each in opening:
            if each.exception() is None:
                each.result().close()
        raise failed
    return SessionChain([each.result() for each in opening])


def write_prepared(
    path: Path, target: Path, *, threads: int = 0, packed: bool = True, content: bytes | None = None
) -> None:
    """Write a graph as it runs on this CPU, optimized and its weights packed: `target` and a file of weights beside it.

    `content` is the graph where it differs from the file's; `packed` False leaves the packing to each opening. Blocks for
    as long as opening takes, and for the writing. Raises ModelInvalid, or OSError where the disk is full.
    """
    options = session_options(threads)
    options.optimized_model_filepath = str(target)
    for key, value in (
        ("session.optimized_model_external_initializers_file_name", f"{target.name}.data"),
        ("session.optimized_model_external_initializers_min_size_in_bytes", str(OUTSIDE_BYTES)),
        ("session.save_external_prepacked_constant_initializers", str(int(packed))),
    ):
        options.add_session_config_entry(key, value)
    if content is not None:
        options.add_session_config_entry(_WEIGHTS_FOLDER, str(path.parent))
    source = str(path) if content is None else content
    try:
        onnxruntime.InferenceSession(source, options, providers=[CPU_PROVIDER], enable_fallback=False)
    except FAILURES as error:
        raise ModelInvalid(f"{path} cannot be prepared by ONNX Runtime {VERSION} ({first_line(error)})") from error


def _providers(asked: str, options: Mapping[str, str] | None, behind: ProviderOptions) -> list[Any] | None:
    """The provider with its options; beside an accelerator the CPU, which computes shapes for every accelerator.

    None for a plugin, which `use_device` has added; ONNX Runtime adds the CPU to it.
    """
    if is_plugin(asked):
        return None
    providers: list[Any] = [(asked, dict(options or {})), *((name, dict(more)) for name, more in behind)]
    return providers if asked == CPU_PROVIDER else [*providers, CPU_PROVIDER]


def _bytes(path: Path, weights: Path | None) -> int:
    """Bytes of a graph and of its file of weights, which is named after it where no other is given."""
    beside = weights or path.with_name(f"{path.name}.data")
    return path.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)


def _open_fault(path: Path, provider: str, error: Exception) -> Exception:
    """ONNX Runtime's failure to open a graph, in our terms."""
    if provider != CPU_PROVIDER:
        return ProviderUnavailable(
            f"{path.name} cannot be opened on {short_name(provider)} ({first_line(error)}): {remedy(provider)}"
        )
    if lack := shortage(error):
        return ResourcesExhausted(lack)
    return ModelInvalid(
        f"{path} is not a graph that ONNX Runtime {VERSION} can load ({first_line(error)}): download the model again"
    )
