"""The fake of NVIDIA's management library, compiled once, and the GPU that it presents."""

import ctypes
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

SOURCE = Path(__file__).with_name("virtual_nvml.c")
NAME = "libnvidia-ml.so.1"


@cache
def library() -> Path:
    """Return the compiled library, in a separate directory below the system's temporary one."""
    target = Path(mkdtemp(prefix="coldvoxd-nvml-")) / NAME
    # With its soname, a process that has already loaded it finds it by name, in any directory.
    flags = ("-shared", f"-Wl,-soname,{NAME}", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden")
    subprocess.run(["gcc", *flags, "-o", target, SOURCE], check=True)
    return target


class VirtualGpu:
    """A GPU in a directory; `be` changes it, and with `environment` a process finds only this one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._state = directory / "nvml.state"
        self._keys: dict[str, str] = {}
        self._xids: list[int] = []
        self.library = directory / NAME
        self.upgrade()
        self._write()

    def enter(self) -> None:
        """Use this GPU in this process, while VIRTUAL_NVML names it."""
        ctypes.CDLL(str(library()))

    @property
    def state(self) -> Path:
        """The file that VIRTUAL_NVML names."""
        return self._state

    @property
    def environment(self) -> Mapping[str, str]:
        places = os.pathsep.join(filter(None, (str(self._directory), os.environ.get("LD_LIBRARY_PATH", ""))))
        return {"LD_LIBRARY_PATH": places, "VIRTUAL_NVML": str(self._state)}

    def be(self, **changes: object) -> None:
        """Change keys of tests/support/gpu/virtual_nvml.c; None removes one."""
        for key, value in changes.items():
            if value is None:
                self._keys.pop(key, None)
            else:
                self._keys[key] = str(value)
        self._write()

    def report_xid(self, number: int) -> None:
        """Make the driver report this Xid now."""
        self._xids.append(number)
        self._write()

    def upgrade(self) -> None:
        """Replace the library by another copy, as a package manager does."""
        fresh = self._directory / "fresh"
        fresh.write_bytes(library().read_bytes())
        fresh.rename(self.library)

    def _write(self) -> None:
        lines = [f"{key} {value}\n" for key, value in self._keys.items()]
        lines += [f"xid {serial} {number}\n" for serial, number in enumerate(self._xids, 1)]
        fresh = self._directory / "nvml.fresh"
        fresh.write_text("".join(lines))
        fresh.rename(self._state)
