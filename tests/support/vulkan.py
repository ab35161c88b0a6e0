"""Software Vulkan drivers, on which the WebGPU provider runs as on a GPU, only slowly."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SWIFTSHADER = Path("/usr/lib/chromium/vk_swiftshader_icd.json")
"""Driver manifest in Debian's package chromium. Slow: it is for graphs of a few nodes."""
LAVAPIPE = ROOT / ".work/vulkan/driver.json"
"""Mesa's driver, from contrib/dev/software-vulkan.sh: fast enough for `mini`."""
PYTHON = LAVAPIPE.with_name("python")
"""The Python of .venv with the C library that the driver needs."""
MODEST = {
    "LP_NUM_THREADS": "1",  # a GPU would not take the daemon's cores
    "MESA_SHADER_CACHE_DIR": str(LAVAPIPE.with_name("shaders")),  # compiling takes seconds at each start
}
"""Variables with which LAVAPIPE runs beside a daemon as a GPU would."""
NO_DRIVER = Path("/nonexistent/vulkan_icd.json")


def environment(driver: Path) -> dict[str, str]:
    """Return the environment of a program that finds this Vulkan driver and no other, nor a layer."""
    without = {name: value for name, value in os.environ.items() if not name.startswith(("MESA_", "VK_"))}
    return without | variables(driver)


def variables(driver: Path) -> dict[str, str]:
    """Return the variables by which the Vulkan loader finds this driver and no other."""
    # VK_ICD_FILENAMES is the older name, and the only one that Debian 12's loader knows.
    return {"VK_DRIVER_FILES": str(driver), "VK_ICD_FILENAMES": str(driver), "NODEVICE_SELECT": "1"}


def run(
    module: str, *arguments: str, driver: Path, more: Mapping[str, str] | None = None, python: str = sys.executable
) -> Any:
    """Run a module in a process of its own, since a driver stays loaded, and return the JSON of its last line."""
    done = subprocess.run(
        [python, "-m", module, *arguments],
        cwd=ROOT,
        env=environment(driver) | dict(more or {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
