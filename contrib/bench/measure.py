"""Measures the service in a real `systemd --user`: time to READY and to the first possible text, idle memory and CPU.

.venv/bin/python contrib/bench/measure.py [--seconds 30] [--starts 5]      as root, or with passwordless sudo

Prints Markdown. CPU time and memory are read from /proc of the running service, times from systemd and the bus.
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.login.login import UNIT, Login, login  # noqa: E402 - the checkout's own
from tests.support.login.user_manager import why_not  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the idle daemon is watched")
    parser.add_argument("--starts", type=int, default=5, help="how often the service is started")
    arguments = parser.parse_args()
    if why_not():
        print(why_not(), file=sys.stderr)
        return 69
    with login() as here:
        here.start()  # once, to fill the page cache
        starts = [start_times(here) for _ in range(arguments.starts)]
        ready, text = zip(*starts, strict=True)
        rows = [
            ("`systemctl --user start` to READY", f"{statistics.median(ready):.2f} s (highest {max(ready):.2f})"),
            (
                "... to the first text possible (model `mini`)",
                f"{statistics.median(text):.2f} s (highest {max(text):.2f})",
            ),
            *idle_figures(here, arguments.seconds),
        ]
    print("| what | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), sep="\n")
    return 0


def start_times(here: Login) -> tuple[float, float]:
    """Return the seconds from the request to READY, and to a loaded model, by the clocks of systemd and the journal."""
    here.systemctl("stop", UNIT)
    here.systemctl("reset-failed", UNIT, check=False)
    before = time.time()
    here.systemctl("start", UNIT)
    ready = int(here.show(UNIT, "ActiveEnterTimestampMonotonic")) - int(
        here.show(UNIT, "InactiveExitTimestampMonotonic")
    )
    here.wait_for_state("idle")
    loaded = here.run(
        *("journalctl", "--user", "--user-unit", UNIT, "--output=short-unix", f"--since=@{before:.6f}", "--grep=loaded")
    )
    text = float(loaded.stdout.splitlines()[-1].split()[0]) - before
    return ready / 1e6, max(text, ready / 1e6)


def idle_figures(here: Login, seconds: float) -> list[tuple[str, str]]:
    """Return resident memory, and CPU time of capture and voice detection as a share of one core."""
    pid = here.main_pid
    time.sleep(5)  # for work left over from the start
    began_s, began_cpu_s = time.monotonic(), cpu_s(here, pid)
    time.sleep(seconds)
    share = (cpu_s(here, pid) - began_cpu_s) / (time.monotonic() - began_s)
    status = dict(line.split(":", 1) for line in here.run("cat", f"/proc/{pid}/status").stdout.splitlines())
    memory = {name: int(status[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")}
    return [
        (f"CPU of the idle daemon over {seconds:g} s: capture and VAD", f"{share:.1%} of one core"),
        (
            "RSS of the idle daemon (model `mini`, fp32)",
            f"{memory['VmRSS']:.0f} MiB, {memory['RssAnon']:.0f} of it anonymous",
        ),
    ]


def cpu_s(here: Login, pid: int) -> float:
    """Return user and system time of all threads, from proc(5)."""
    fields = here.run("cat", f"/proc/{pid}/stat").stdout.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
