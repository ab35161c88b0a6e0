import errno

import pytest

from coldvoxd.core.shortage import MEMORY, THREADS, shortage


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (MemoryError(), MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), MEMORY),
        (RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Load model from x.onnx failed:std::bad_alloc"), MEMORY),
        (RuntimeError("env.cc:327 PosixThread pthread_create failed, error code: 11 error msg: Resource"), THREADS),
        (RuntimeError("can't start new thread"), THREADS),
        (OSError(errno.EACCES, "Permission denied"), ""),
        (RuntimeError("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Protobuf parsing failed."), ""),
        (RuntimeError("CUDA failure 2: out of memory"), ""),
    ],
)
def test_native_errors_are_told_apart_by_their_words(error: Exception, lack: str) -> None:
    assert shortage(error) == lack
