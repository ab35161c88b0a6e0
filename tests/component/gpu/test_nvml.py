"""nvidia-ml-py with the virtual NVML library: what is read from a GPU, and from one that lacks some figures."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from coldvoxd.gpu.health import MIB, Sight, Trouble
from coldvoxd.gpu.nvml import Gpu
from tests.support.gpu.virtual_nvml import VirtualGpu

ROOT = Path(__file__).parents[3]


def test_a_look_reads_what_the_card_tells(gpu: VirtualGpu) -> None:
    gpu.be(total=1000 * MIB, used=100 * MIB, process=f"{os.getpid()} {300 * MIB}", temperature=61, slowdown=95)
    gpu.be(reasons="0x60", uncorrected=2)
    assert Gpu().look() == Sight(None, 1000 * MIB, 600 * MIB, 300 * MIB, 61, 95, True, True, 2, False)


def test_limits_of_power_are_no_heat(gpu: VirtualGpu) -> None:
    gpu.be(reasons=hex(0x4 | 0x8 | 0x80))
    sight = Gpu().look()
    assert (sight.braked, sight.slowed) == (False, False)


def test_another_programs_memory_is_not_ours(gpu: VirtualGpu) -> None:
    gpu.be(process=f"1 {300 * MIB}")
    assert Gpu().look().own_bytes == 0


@pytest.mark.parametrize(
    ("function", "figure"),
    [
        ("nvmlDeviceGetTotalEccErrors", "uncorrected"),
        ("nvmlDeviceGetTemperature", "temperature_c"),
        ("nvmlDeviceGetTemperatureThreshold", "slowdown_c"),
        ("nvmlDeviceGetComputeRunningProcesses_v3", "own_bytes"),
    ],
)
@pytest.mark.parametrize("how", ["lacks", "unsupported"])
def test_what_a_card_or_driver_does_not_tell_is_none(gpu: VirtualGpu, how: str, function: str, figure: str) -> None:
    gpu.be(**{how: function})
    sight = Gpu().look()
    assert getattr(sight, figure) is None
    assert (sight.trouble, sight.free_bytes is None) == (None, False), "the other figures are reported anyway"


def test_an_older_driver_tells_its_brakes_under_another_name(gpu: VirtualGpu) -> None:
    gpu.be(reasons="0x40", lacks="nvmlDeviceGetCurrentClocksEventReasons")
    assert Gpu().look().braked


@pytest.mark.parametrize(
    ("code", "trouble"), [(9, Trouble.NO_DRIVER), (18, Trouble.MISMATCH), (4, Trouble.NO_DRIVER), (999, Trouble.LOST)]
)
def test_a_driver_that_can_not_be_opened_says_why_and_may_come_back(
    gpu: VirtualGpu, code: int, trouble: Trouble
) -> None:
    gpu.be(init=code)
    looker = Gpu()
    assert looker.look() == Sight(trouble)
    gpu.be(init=0)
    assert looker.look().trouble is None


@pytest.mark.parametrize(("code", "trouble"), [(15, Trouble.LOST), (16, Trouble.RESET), (999, Trouble.LOST)])
def test_a_card_that_goes_says_how(gpu: VirtualGpu, code: int, trouble: Trouble) -> None:
    looker = Gpu()
    assert looker.look().trouble is None
    gpu.be(trouble=code)
    assert looker.look() == Sight(trouble)


def test_an_error_that_is_not_about_the_card_tells_nothing(gpu: VirtualGpu) -> None:
    looker = Gpu()
    looker.look()
    gpu.be(trouble=23)  # NVML_ERROR_INSUFFICIENT_RESOURCES
    assert looker.look() == Sight()


def test_xids_are_told_once_in_order_and_none_of_before(gpu: VirtualGpu) -> None:
    gpu.report_xid(13)
    looker = Gpu()
    looker.look()
    assert looker.reports_xids
    assert looker.wait_for_xid(1) is None
    threading.Timer(0.05, gpu.report_xid, (79,)).start()
    assert looker.wait_for_xid(10_000) == 79
    gpu.report_xid(48)
    gpu.report_xid(94)
    assert [looker.wait_for_xid(1000), looker.wait_for_xid(1000), looker.wait_for_xid(1)] == [48, 94, None]


def test_a_card_without_events_is_watched_by_looks(gpu: VirtualGpu) -> None:
    gpu.be(unsupported="nvmlDeviceGetSupportedEventTypes")
    looker = Gpu()
    assert looker.look().trouble is None
    assert not looker.reports_xids


def test_a_lost_card_ends_the_waiting_for_events(gpu: VirtualGpu) -> None:
    looker = Gpu()
    looker.look()
    threading.Timer(0.05, lambda: gpu.be(trouble=15)).start()
    assert looker.wait_for_xid(10_000) is None
    assert not looker.reports_xids


@pytest.mark.usefixtures("gpu")
def test_what_was_closed_is_opened_by_the_next_look() -> None:
    looker = Gpu()
    looker.close()
    looker.look()
    looker.close()
    assert not looker.reports_xids
    assert looker.look().trouble is None


@pytest.mark.parametrize(("visible", "there"), [("0", 1), ("1", 2), ("GPU-stand-in-1", 2), ("7", 1), ("", 1)])
def test_the_card_that_cuda_would_take_is_looked_at(gpu: VirtualGpu, visible: str, there: int) -> None:
    gpu.be(cards=there, process=f"{os.getpid()} {MIB}")  # on the first
    own = Gpu({"CUDA_VISIBLE_DEVICES": visible}).look().own_bytes
    assert own == (0 if there == 2 else MIB)


@pytest.mark.usefixtures("gpu")
def test_a_hidden_card_is_no_card() -> None:
    assert Gpu({"CUDA_VISIBLE_DEVICES": "GPU-of-somebody-else"}).look() == Sight(Trouble.NO_DRIVER)


def test_an_upgraded_library_is_noticed(tmp_path: Path) -> None:
    gpu = VirtualGpu(tmp_path)
    program = (
        "from coldvoxd.gpu.nvml import Gpu; gpu = Gpu(); print(gpu.look().library_replaced, flush=True); input(); "
        "print(gpu.look().library_replaced)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, **gpu.environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "False\n"
        gpu.upgrade()
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "True\n"


def test_without_the_library_there_is_no_word_and_nothing_is_imported() -> None:
    program = (
        "import sys, ctypes\n"
        "from coldvoxd.gpu import nvml\n"
        "nvml.LIBRARY = 'libnvidia-ml.so.1.of-nobody'\n"
        "try: nvml.Gpu().look()\n"
        "except nvml.NoLibrary: print('pynvml' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
