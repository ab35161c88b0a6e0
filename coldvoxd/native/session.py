"""An open ONNX Runtime session, of one graph or of one that was cut in pieces."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coldvoxd.core.cancellation import CancellationToken
from coldvoxd.core.errors import ProviderFault
from coldvoxd.core.provider_names import short_name
from coldvoxd.native.malloc import keep_freed
from coldvoxd.native.ort import FAILURES, first_line, onnxruntime

_TERMINATED = "due to terminate flag"
"""In ONNX Runtime's message about a run that was cancelled. A run that fails otherwise has failed, cancelled or not."""
LONG_FEED_BYTES = 128 * 1200 * 4
"""Size of the features of 12 s. An arena keeps what its longest run took; most utterances are shorter than this."""
SHRINK = "memory.enable_memory_arena_shrinkage"
"""Entry of a run's options: the devices whose arenas return their free memory after the run."""
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


@dataclass(frozen=True, slots=True)
class TensorType:
    """Type and shape that a graph declares for an input or output."""

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    """None for a dimension of any size."""

    @classmethod
    def of(cls, declared: Any) -> "TensorType":
        """From ONNX Runtime's description of an input or output."""
        shape = tuple(size if isinstance(size, int) else None for size in declared.shape)
        return cls(np.dtype(_DTYPES.get(declared.type, np.object_)), shape)


class OrtSession:
    """An open ONNX Runtime session that names its real provider and raises coldvoxd's errors."""

    def __init__(
        self,
        native_session: "onnxruntime.InferenceSession",
        path: Path,
        *,
        keeps_memory: bool = False,
        device: str = "",
        shrinks: bool = False,
    ) -> None:
        """`keeps_memory` keeps the memory of a run for the next one, see `coldvoxd.native.malloc`.

        `device` is the name of the accelerator's device. `shrinks` says that its memory is an arena, which is returned to the
        driver after a long run.
        """
        self._native: onnxruntime.InferenceSession | None = native_session
        self._keeps_memory = keeps_memory
        self._bindings: list[tuple[Any, tuple[npt.NDArray[Any], ...]]] = []
        """Each with the arrays that it reads and writes, whose memory must stay valid until the binding is gone."""
        self._shrinks = shrinks
        self.path = path
        self.device = device
        self.provider: str = str(native_session.get_providers()[0])
        """First active execution provider, such as `CPUExecutionProvider`."""
        self.inputs: Mapping[str, TensorType] = {i.name: TensorType.of(i) for i in native_session.get_inputs()}
        self.outputs: Mapping[str, TensorType] = {o.name: TensorType.of(o) for o in native_session.get_outputs()}

    def run(
        self, outputs: Sequence[str], feeds: Mapping[str, npt.NDArray[Any]], stop: CancellationToken | None = None
    ) -> list[npt.NDArray[Any]]:
        """The named outputs. Blocks; one thread at a time.

        Raises ProviderFault where ONNX Runtime fails, and Stopped some milliseconds after `stop` is cancelled: ONNX Runtime
        checks its flag between two nodes.
        """
        native = self._open()
        if self._keeps_memory:
            keep_freed()
        try:
            options = self.run_options(feeds)
            if stop is None:
                results = native.run(list(outputs), dict(feeds), options)
            else:
                stop.check()
                options = options or onnxruntime.RunOptions()
                with stop.heard_by(lambda: setattr(options, "terminate", True)):
                    results = native.run(list(outputs), dict(feeds), options)
        except FAILURES as error:
            if stop is not None and stop.asked and _TERMINATED in str(error):
                stop.check()
            del native
            raise self._fault(error) from error.with_traceback(None)
        return [np.asarray(result) for result in results]

    def run_options(self, feeds: Mapping[str, npt.NDArray[Any]]) -> "onnxruntime.RunOptions | None":
        """Options of a run on `feeds`: after a long one an arena on a GPU is shrunk. None where there are none."""
        if not self._shrinks or sum(array.nbytes for array in feeds.values()) < LONG_FEED_BYTES:
            return None
        options = onnxruntime.RunOptions()
        options.add_run_config_entry(SHRINK, "gpu:0")
        return options

    def bound(
        self, feeds: Mapping[str, npt.NDArray[Any]], results: Mapping[str, npt.NDArray[Any]]
    ) -> Callable[[], None]:
        """A run that reads `feeds` and writes `results` in place, each time that it is called.

        On the CPU it allocates and copies nothing. The arrays must be contiguous and of exactly the types and shapes that
        the run takes and returns. Calling it raises ProviderFault and blocks as `run` does.
        """
        binding = self._open().io_binding()
        for bind, arrays in ((binding.bind_input, feeds), (binding.bind_output, results)):
            for name, array in arrays.items():
                bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        number = len(self._bindings)
        self._bindings.append((binding, (*feeds.values(), *results.values())))

        def run() -> None:
            native = self._open()
            try:
                native.run_with_iobinding(self._bindings[number][0])
            except FAILURES as error:
                del native
                raise self._fault(error) from error.with_traceback(None)

        return run

    def close(self) -> None:
        """Release the graph and its memory. A later run raises ProviderFault."""
        self._bindings.clear()
        self._native = None

    def _open(self) -> "onnxruntime.InferenceSession":
        if self._native is None:
            raise ProviderFault(f"{self.path.name} is closed; open the model again")
        return self._native

    def _fault(self, error: Exception) -> ProviderFault:
        """Return the fault for ONNX Runtime's error, whose traceback must be dropped.

        It holds the session, which `close` could not release then: a lost device would be in use for as long as the fault is
        kept.
        """
        return ProviderFault(
            f"{short_name(self.provider)} failed to run {self.path.name}: {first_line(error)}; "
            "the same audio may succeed on another provider"
        )


class SessionChain(OrtSession):
    """The sessions of a graph that was cut in pieces, as one session: each takes outputs of those before it."""

    def __init__(self, sessions: Sequence[OrtSession]) -> None:
        # Not the base's: there are several native sessions.
        self._sessions = tuple(sessions)
        self.path = sessions[0].path
        self.provider = sessions[0].provider
        self.device = sessions[0].device
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
        """Raises NotImplementedError: arrays between two pieces have no fixed size to bind."""
        raise NotImplementedError("the tensors between the parts have dynamic sizes")

    def close(self) -> None:
        for session in self._sessions:
            session.close()
