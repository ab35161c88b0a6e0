"""The one place that opens ONNX Runtime sessions."""

import contextlib
import io
import logging
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# From 1.31 on ONNX Runtime gives the machine a number below ~/.cache/Microsoft and reports to its maker, unless this is
# set before it is loaded. Nothing leaves this machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ModelInvalid, ProviderFault, ProviderUnavailable, ResourcesExhausted
from coldvoxd.core.shortage import shortage
from coldvoxd.native.malloc import keep_freed, share_one_heap

log = logging.getLogger(__name__)

VERSION: str = onnxruntime.__version__
CPU = "cpu"
CUDA = "cuda"
AUTO = "auto"
"""In settings: the accelerator that this machine is likely to have, otherwise the CPU."""
NVIDIA_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg")
"""The driver's, and the one through which a GPU is reached in WSL."""
SUFFIX = "ExecutionProvider"

OUTSIDE_BYTES = 65_536
"""In a prepared graph, smaller weights stay in the graph itself: outside, they would push what follows out of line."""

_FATAL = 4  # everything less arrives as an exception, which says it once and to the right person
onnxruntime.set_default_logger_severity(_FATAL)
share_one_heap()

# pybind11 derives none of these from a common class of their own.
_FAILURES: tuple[type[Exception], ...] = (
    MemoryError,
    *(
        error
        for error in vars(native).values()
        if isinstance(error, type) and issubclass(error, Exception) and error.__module__ == native.__name__
    ),
    RuntimeError,
    ValueError,
)


LARGE_BYTES = 100_000_000
"""In a run of a graph with such weights its threads wait for each other a thousand times, for microseconds: to sleep meanwhile
costs a tenth of the run. And it fills hundreds of megabytes, which are kept for the next run. A small one is over before
either counts, and other programs want the cores and the memory too."""
_WEIGHTS_BESIDE = "session.model_external_initializers_file_folder_path"
"""Where the weights of a graph lie that is opened from memory."""
_TERMINATED = "due to terminate flag"
"""What ONNX Runtime says of a run that was ended so; any other failure is one, whoever asked meanwhile."""


def available_providers() -> tuple[str, ...]:
    """Short names of the providers that the installed ONNX Runtime was built with, best first: `cuda`, `cpu`, ...

    Whether one works on this machine only `open_session` finds out.
    """
    return tuple(short_name(name) for name in onnxruntime.get_available_providers())


def short_name(provider: str) -> str:
    """`CUDAExecutionProvider` -> `cuda`."""
    return provider.removesuffix(SUFFIX).lower()


def full_name(provider: str) -> str:
    """`cuda` -> `CUDAExecutionProvider`; a full name stays. Raises ProviderUnavailable where ONNX Runtime has none."""
    for name in onnxruntime.get_available_providers():
        if short_name(provider) == short_name(name):
            return str(name)
    raise ProviderUnavailable(
        f"ONNX Runtime {onnxruntime.__version__} has no execution provider {provider!r}; it offers "
        f"{', '.join(available_providers())}: set `provider` under [model] to one of these"
    )


def likely_accelerator(driver_nodes: Sequence[str] = NVIDIA_NODES) -> str | None:
    """The accelerator worth trying on this machine, `cuda` or None; only `open_session` finds out whether it works.

    ONNX Runtime lists CUDA wherever it was built with it, so the driver's own device nodes decide.
    """
    if "cuda" in available_providers() and any(Path(node).exists() for node in driver_nodes):
        return "cuda"
    return None


def physical_cores() -> int:
    """Physical cores that this process may run on; hyper-threads of one core count once."""
    cores = set()
    for cpu in os.sched_getaffinity(0):
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            core = (topology / "physical_package_id").read_text(), (topology / "core_id").read_text()
        except OSError:  # no such files in some containers and emulators: every CPU is taken for a core
            core = ("", str(cpu))
        cores.add(core)
    return len(cores)


def session_options(
    threads: int = 0, *, packed: bool = True, optimized: bool = False, spinning: bool = False
) -> "onnxruntime.SessionOptions":
    """What every session of ours runs with; `threads` 0 means one for each physical core.

    `packed` False leaves the graph and the layout of its weights as the file has them: nothing is copied where the
    weights lie in a file of their own, which is mapped. `optimized` says that the graph needs no more of it. `spinning`
    threads wait awake for each other while a run lasts, and for nothing longer.

    Threads sleep between runs, and buffers come from the C library rather than from an arena, which would keep them
    for good, while a dictation daemon is idle nearly always: see `coldvoxd.native.malloc`.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or physical_cores()
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = _FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if optimized or not packed:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if not packed:
        options.add_session_config_entry("session.disable_prepacking", "1")
    return options


@dataclass(frozen=True, slots=True)
class TensorType:
    """What a graph declares of an input or output."""

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    """None where the size is open."""


class Session:
    """An open ONNX Runtime session that says what it really runs on and fails in our terms."""

    def __init__(
        self, native_session: "onnxruntime.InferenceSession", path: Path, *, keeps_memory: bool = False
    ) -> None:
        self._native: onnxruntime.InferenceSession | None = native_session
        self._keeps_memory = keeps_memory
        self._bindings: list[tuple[Any, tuple[npt.NDArray[Any], ...]]] = []
        """With the arrays in which they read and write: both must stay as long as they are used, and no longer."""
        self.path = path
        self.provider: str = str(native_session.get_providers()[0])
        """First active execution provider, such as `CPUExecutionProvider`."""
        self.inputs: Mapping[str, TensorType] = {i.name: _tensor_type(i) for i in native_session.get_inputs()}
        self.outputs: Mapping[str, TensorType] = {o.name: _tensor_type(o) for o in native_session.get_outputs()}

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]], stop: CancellationToken | None = None
    ) -> list[npt.NDArray[Any]]:
        """The named outputs. Raises ProviderFault where ONNX Runtime fails. Blocks; one thread at a time.

        Raises Stopped some milliseconds after `stop` is asked: ONNX Runtime looks for it between two nodes.
        """
        if self._native is None:
            raise ProviderFault(f"{self.path.name} is closed; open the model again")
        if self._keeps_memory:
            keep_freed()
        try:
            if stop is None:
                results = self._native.run(list(outputs), dict(feeds))
            else:
                stop.check()
                options = onnxruntime.RunOptions()
                with stop.heard_by(lambda: setattr(options, "terminate", True)):
                    results = self._native.run(list(outputs), dict(feeds), options)
        except _FAILURES as error:
            if stop is not None and stop.asked and _TERMINATED in str(error):
                stop.check()
            raise self._fault(error) from error
        return [np.asarray(result) for result in results]

    def bound(
        self, feeds: Mapping[str, npt.NDArray[Any]], results: Mapping[str, npt.NDArray[Any]]
    ) -> Callable[[], None]:
        """A run that reads `feeds` and writes `results` where they lie in memory, as often as it is called.

        Nothing is allocated or copied for it where the provider is the CPU. The arrays must be contiguous and of just
        the types and shapes that the run takes and gives. Calling it raises ProviderFault and blocks as `run` does.
        """
        if self._native is None:
            raise ProviderFault(f"{self.path.name} is closed; open the model again")
        binding = self._native.io_binding()
        for bind, arrays in ((binding.bind_input, feeds), (binding.bind_output, results)):
            for name, array in arrays.items():
                bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        number = len(self._bindings)
        self._bindings.append((binding, (*feeds.values(), *results.values())))

        def run() -> None:
            if self._native is None:
                raise ProviderFault(f"{self.path.name} is closed; open the model again")
            try:
                self._native.run_with_iobinding(self._bindings[number][0])
            except _FAILURES as error:
                raise self._fault(error) from error

        return run

    def close(self) -> None:
        """Let go of the graph and its memory."""
        self._bindings.clear()
        self._native = None

    def _fault(self, error: Exception) -> ProviderFault:
        return ProviderFault(
            f"{short_name(self.provider)} failed to run {self.path.name}: {_first_line(error)}; "
            "the same audio may succeed on another provider"
        )


class Chain(Session):
    """The sessions of one graph that was cut in pieces: each takes what was given before it. As one session."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        # Not the base's: there are several native sessions.
        self._sessions = tuple(sessions)
        self.path = sessions[0].path
        self.provider = sessions[0].provider
        self.outputs = {name: kind for session in sessions for name, kind in session.outputs.items()}
        self.inputs = {
            name: kind for session in sessions for name, kind in session.inputs.items() if name not in self.outputs
        }

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]], stop: CancellationToken | None = None
    ) -> list[npt.NDArray[Any]]:
        values = dict(feeds)
        for session in self._sessions:
            names = tuple(session.outputs)
            given = session.run(names, {name: values[name] for name in session.inputs}, stop)
            values.update(zip(names, given, strict=True))
        return [values[name] for name in outputs]

    def bound(
        self, feeds: Mapping[str, npt.NDArray[Any]], results: Mapping[str, npt.NDArray[Any]]
    ) -> Callable[[], None]:
        raise NotImplementedError("the tensors between the parts have dynamic sizes")

    def close(self) -> None:
        for session in self._sessions:
            session.close()


def open_chain(paths: Sequence[Path], open_piece: Callable[[Path], Session]) -> Session:
    """The pieces of a graph, opened side by side. Raises what `open_piece` raises."""
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
    return Chain([each.result() for each in opening])


def open_session(
    path: Path,
    provider: str = CPU,
    *,
    threads: int = 0,
    packed: bool = True,
    provider_options: Mapping[str, str] | None = None,
    content: bytes | None = None,
    prepared: bool = False,
    weights: Path | None = None,
) -> Session:
    """Open a graph on the provider asked for, and on no other.

    Raises ModelInvalid where the file can't be loaded, ResourcesExhausted where memory or threads are lacking for that, and ProviderUnavailable where the session's first active
    provider is not `provider` (a short or a full name). ONNX Runtime's own fallback is off: it would go on elsewhere
    and say nothing. `packed` False opens faster and in less memory, and runs slower: see `session_options`.
    `content` is what to open where it isn't just what is in the file, with the file's own weights beside it; `prepared` says that it is `write_prepared`'s, which
    needs no optimizing and whose packed weights are mapped. `weights` is their file, where it is not named as the graph is.
    Blocks, for seconds with a large model; any thread.
    """
    asked = full_name(provider)
    chain: list[Any] = [(asked, dict(provider_options or {}))]
    if asked != f"CPU{SUFFIX}":
        chain.append(f"CPU{SUFFIX}")  # shape arithmetic stays there on every accelerator
    if asked == f"CUDA{SUFFIX}":
        _preload_cuda()
    if not path.is_file():
        raise ModelInvalid(f"{path} is missing: download the model again")
    large = _weight(path, weights) >= LARGE_BYTES
    # Threads that spin from the beginning take a third of the time in which what isn't packed is opened, and win it nothing.
    options = session_options(threads, packed=packed, optimized=prepared, spinning=large and packed)
    if content is not None:
        options.add_session_config_entry(_WEIGHTS_BESIDE, str(path.parent))
    try:
        session = onnxruntime.InferenceSession(
            str(path) if content is None else content,
            options,
            providers=chain,
            enable_fallback=False,
        )
    except _FAILURES as error:
        if asked == f"CPU{SUFFIX}" and (lack := shortage(error)):
            raise ResourcesExhausted(lack) from error
        if asked == f"CPU{SUFFIX}":
            raise ModelInvalid(
                f"{path} is not a graph that ONNX Runtime {onnxruntime.__version__} can load ({_first_line(error)}): "
                "download the model again"
            ) from error
        raise ProviderUnavailable(
            f"{path.name} cannot be opened on {short_name(asked)} ({_first_line(error)}): {_remedy(asked)}"
        ) from error
    opened = Session(session, path, keeps_memory=large)
    if opened.provider != asked:
        raise ProviderUnavailable(
            f"{path.name} was to run on {short_name(asked)}, but ONNX Runtime would run it on "
            f"{short_name(opened.provider)}: {_remedy(asked)}"
        )
    return opened


def _weight(path: Path, weights: Path | None) -> int:
    """Bytes of a graph and of what lies beside it, under its name where no other is given."""
    beside = weights or path.with_name(f"{path.name}.data")
    return path.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)


def write_prepared(
    path: Path, target: Path, *, threads: int = 0, packed: bool = True, content: bytes | None = None
) -> None:
    """Write a graph as it runs on the CPU here: optimized, its weights packed, in `target` and a file beside it.

    `content` is what to read where it isn't just what is in the file; `packed` False leaves the packing to each opening.
    Raises ModelInvalid, or OSError where the disk is
    full. Blocks for as long as opening takes, and for the writing.
    """
    weights = f"{target.name}.data"
    options = session_options(threads)
    options.optimized_model_filepath = str(target)
    for key, value in (
        ("session.optimized_model_external_initializers_file_name", weights),
        ("session.optimized_model_external_initializers_min_size_in_bytes", str(OUTSIDE_BYTES)),
        ("session.save_external_prepacked_constant_initializers", str(int(packed))),
    ):
        options.add_session_config_entry(key, value)
    if content is not None:
        options.add_session_config_entry(_WEIGHTS_BESIDE, str(path.parent))
    source = str(path) if content is None else content
    try:
        onnxruntime.InferenceSession(source, options, providers=[f"CPU{SUFFIX}"], enable_fallback=False)
    except _FAILURES as error:
        raise ModelInvalid(
            f"{path} cannot be prepared by ONNX Runtime {onnxruntime.__version__} ({_first_line(error)})"
        ) from error


def bound_to() -> str:
    """What a prepared graph fits: this build of ONNX Runtime and the features of this CPU."""
    return f"{onnxruntime.__version__} {onnxruntime.get_build_info()} {platform.machine()} {cpu_features()}"


def cpu_features() -> str:
    """Names of the instruction sets that this CPU has, as the kernel tells them; empty where it doesn't."""
    features = ""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return " ".join(sorted(features.partition(":")[2].split()))


def _preload_cuda() -> None:
    """Load the libraries of the extra `cuda` where they are installed; otherwise the system's are found later."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        onnxruntime.preload_dlls()
    for line in printed.getvalue().splitlines():
        log.debug("CUDA libraries: %s", line)


def _remedy(provider: str) -> str:
    if short_name(provider) in {"cuda", "tensorrt"}:
        return (
            "check that `nvidia-smi` sees the GPU and that the CUDA and cuDNN libraries which this ONNX Runtime needs "
            'are installed, or set `provider = "cpu"` under [model]'
        )
    return 'check the provider\'s driver and libraries, or set `provider = "cpu"` under [model]'


_DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


def _tensor_type(declared: Any) -> TensorType:
    shape = tuple(size if isinstance(size, int) else None for size in declared.shape)
    return TensorType(np.dtype(_DTYPES.get(declared.type, np.object_)), shape)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
