"""Files with sample values that speech cannot have are rejected on input or bounded before recognition.

A microphone delivers 16-bit integers, so such values come only from files.
"""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.models.directories import bundled_directory
from tests.component.cli.conftest import Ctl
from tests.support.bus.file_service import transcribing
from tests.support.bus.private_bus import PrivateBus

SAMPLE = json.loads((bundled_directory() / "manifest.json").read_text())["samples"][0]
FILE = bundled_directory() / SAMPLE["file"]
TEXT = SAMPLE["heard"]["fp32"]
Wave = npt.NDArray[np.float64]
BEYOND = r"holds values of \d\S* where full scale is 1, or 2147483648 for whole numbers, after 0.0 s: export it again"
NOT_FINITE = "holds NaN or infinite values after 0.0 s: convert it"


def scaled(gain: float) -> Wave:
    voice, _ = soundfile.read(FILE, dtype="float64")
    return np.asarray(voice) * gain


def with_one(value: float) -> Wave:
    """Return the recording with one sample in its middle replaced."""
    wave = scaled(1.0)
    wave[len(wave) // 2] = value
    return wave


@dataclass(frozen=True, slots=True)
class Odd:
    """A recording, and its expected outcome: the words, or an error."""

    name: str
    wave: Wave
    format: str = "WAV"
    subtype: str = "FLOAT"
    complaint: str = ""
    warning: str = ""


ODD = (
    Odd("1e30", scaled(1e30), complaint=BEYOND),
    Odd("1e12", scaled(1e12), complaint=BEYOND),
    Odd("1e30 in AIFF", scaled(1e30), "AIFF", complaint=BEYOND),
    Odd("1e30 in AIFF of 64 bits", scaled(1e30), "AIFF", "DOUBLE", complaint=BEYOND),
    Odd("1e30 in 64 bits", scaled(1e30), subtype="DOUBLE", complaint=BEYOND),
    Odd("1e30 in CAF", scaled(1e30), "CAF", complaint=BEYOND),
    Odd("1e30 in AU", scaled(1e30), "AU", complaint=BEYOND),
    Odd("more than 32 bits hold", scaled(1e300), subtype="DOUBLE", complaint=NOT_FINITE),
    Odd("one NaN", with_one(np.nan), complaint=NOT_FINITE),
    Odd("one NaN in AIFF", with_one(np.nan), "AIFF", complaint=NOT_FINITE),
    Odd("one infinite", with_one(-np.inf), subtype="DOUBLE", complaint=NOT_FINITE),
    Odd("all infinite", np.full(32_000, np.inf), complaint=NOT_FINITE),
    Odd("all NaN", np.full(32_000, np.nan), complaint=NOT_FINITE),
    Odd("one huge", with_one(1e30)),
    Odd("denormal", scaled(1e-40), warning="No speech was found."),
    Odd("denormal in 64 bits", scaled(1e-310), subtype="DOUBLE", warning="No speech was found."),
)


@pytest.fixture(params=["daemon", "local"])
async def options(request: pytest.FixtureRequest, bus: PrivateBus) -> AsyncIterator[tuple[str, ...]]:
    """The options of both ways to transcribe; starts a daemon if one is needed."""
    if request.param == "local":
        yield ("--local", "--model", "mini", "--precision", "fp32")
        return
    async with transcribing(bus):
        yield ()


async def test_values_that_no_speech_has_are_refused_at_the_door_or_bounded(
    ctl: Ctl, options: tuple[str, ...], tmp_path: Path
) -> None:
    """All files are in one batch, each followed by a good recording whose words must not be lost."""
    files: list[str] = []
    for number, odd in enumerate(ODD):
        file = tmp_path / f"{number}.{odd.format.lower()}"
        soundfile.write(file, odd.wave, 16_000, format=odd.format, subtype=odd.subtype)
        files += [str(file), str(FILE)]
    result = await (await ctl("transcribe", *options, "--json", *files)).ended(within_s=150)
    assert (result.exit, result.err) == (Exit.FAILED, "")
    found = result.objects
    assert [one["file"] for one in found] == files
    assert [one.get("text") for one in found[1::2]] == [TEXT] * len(ODD)
    for odd, one in zip(ODD, found[::2], strict=True):
        if odd.complaint:
            assert one.get("error") == "Failed", odd.name
            assert re.search(odd.complaint, one["message"]), odd.name
        else:
            assert one.get("warnings") == ([odd.warning] if odd.warning else []), odd.name
            assert one["text"] == ("" if odd.warning else TEXT), odd.name
