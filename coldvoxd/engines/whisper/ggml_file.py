"""Checks a model file of whisper.cpp before it is loaded.

whisper.cpp reports a file that it cannot load on standard error only, and accepts one whose last tensor is truncated.
Source of the format: `whisper_model_load` in whisper.cpp, and GGML_TYPE_* in ggml.h.
"""

import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from coldvoxd.core.errors import ModelInvalid, ModelMissing
from coldvoxd.core.values import Precision

MAGIC = 0x67676D6C
REMEDY = "`fallback_model` under [model] must be a ggml file of whisper.cpp, such as ggml-base.bin"
FIRST_MULTILINGUAL = 51_865
"""Vocabularies of at least this size are multilingual."""
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
}  # fmt: skip
"""Number of elements and of bytes of a block, by GGML_TYPE: F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K."""
FP32, FP16 = 0, 1
"""Data types in the header. All others are quantized."""
KINDS = (
    (b"GGUF", "a GGUF file, which whisper.cpp does not read"),
    (b"PK\x03\x04", "a file of PyTorch, or another zip file"),
    (
        b"\x06\x00\x00\x00\x0c\x00WhisperSpec",
        "a Whisper model of CTranslate2 (faster-whisper), which must be converted",
    ),
    (b"RIFF", "a WAV file"),
)
"""Beginnings of files that are taken for a model of whisper.cpp, and what they are."""
LARGEST = 1 << 20
"""No number in the header of a valid file is larger."""


@dataclass(frozen=True, slots=True)
class GgmlFile:
    """What the header says."""

    path: Path
    size: int
    """Number of bytes of the file."""
    is_multilingual: bool
    precision: Precision
    """`fp16`, or `int8` for all quantized files."""


def read_ggml(path: Path) -> GgmlFile:
    """Check that a file is complete, without reading the weights. Raises ModelMissing or ModelInvalid with the remedy."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise ModelInvalid(f"{path} is a directory", REMEDY)
        if not stat.S_ISREG(kind):
            raise ModelInvalid(f"{path} is not a regular file", REMEDY)
        with path.open("rb") as file:
            return _read(path, file)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelMissing(f"There is no file {path}", REMEDY) from error
    except OSError as error:
        raise ModelInvalid(f"{path} cannot be read: {error.strerror or error}") from error
    except (struct.error, UnicodeDecodeError) as error:
        raise ModelInvalid(f"{path} is truncated or damaged: copy it again") from error


def _read(path: Path, file: BinaryIO) -> GgmlFile:
    beginning = file.read(32)
    file.seek(0)
    if _numbers(file, 1) != (MAGIC,):
        found = next((kind for start, kind in KINDS if beginning.startswith(start)), "not a model of whisper.cpp")
        raise ModelInvalid(f"{path} is {found}", REMEDY)
    vocabulary, _, _, _, audio_layers, _, _, _, text_layers, _, kind = _numbers(file, 11)
    bins, lines = _numbers(file, 2)
    if not all(0 < number < LARGEST for number in (vocabulary, audio_layers, text_layers, bins, lines)):
        raise ModelInvalid(f"{path} is damaged: copy it again")
    size = os.fstat(file.fileno()).st_size
    file.seek(4 * bins * lines, os.SEEK_CUR)
    for _ in range(_numbers(file, 1)[0]):
        file.seek(_numbers(file, 1)[0], os.SEEK_CUR)
    tensors = _tensors(path, file, size)
    expected = 11 + 15 * audio_layers + 24 * text_layers
    if tensors != expected:
        raise ModelInvalid(f"{path} has {tensors} tensors of {expected}: it is truncated or damaged, copy it again")
    if kind == FP32:
        # whisper.cpp 1.8 has no convolution of 32-bit weights for the CPU, and ends the process in the first run.
        raise ModelInvalid(f"{path} has weights in fp32, which whisper.cpp does not run on the CPU", REMEDY)
    precision = Precision.FP16 if kind == FP16 else Precision.INT8
    return GgmlFile(path, size, vocabulary >= FIRST_MULTILINGUAL, precision)


def _tensors(path: Path, file: BinaryIO, size: int) -> int:
    """Return the number of tensors, all of which are complete."""
    found = 0
    while file.tell() < size:
        dimensions, name_length, kind = _numbers(file, 3)
        if not (0 < dimensions <= 4 and 0 < name_length < LARGEST) or kind not in BLOCKS:
            raise ModelInvalid(f"{path} is damaged, or newer than this program: copy it again")
        elements = 1
        for number in _numbers(file, dimensions):
            elements *= number
        file.read(name_length).decode()
        block, size_of_block = BLOCKS[kind]
        end = file.tell() + elements // block * size_of_block
        if not file.tell() < end <= size:
            raise ModelInvalid(f"{path} is truncated: {size} of at least {end} bytes are there, copy it again")
        file.seek(end)
        found += 1
    return found


def _numbers(file: BinaryIO, count: int) -> tuple[int, ...]:
    """Return the next 32-bit numbers. Raises struct.error at the end of the file."""
    return struct.unpack(f"<{count}i", file.read(4 * count))
