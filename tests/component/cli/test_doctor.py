"""coldvoxctl doctor on a machine on which nearly everything is missing."""

import asyncio
import sys
from pathlib import Path

from coldvoxd.cli.exit_codes import Exit
from tests.component.cli.conftest import ROOT, Ctl
from tests.support.bus.private_bus import PrivateBus


async def test_broken_parts_make_the_exit_code_and_a_report(ctl: Ctl, bus: PrivateBus, tmp_path: Path) -> None:
    environment = bus.environment | {"HOME": str(tmp_path), "PULSE_SERVER": f"unix:{tmp_path}/absent"}
    report = tmp_path / "report.md"
    done = await (await ctl("doctor", "--json", "--report", str(report), environment=environment)).ended()
    assert done.exit == Exit.FAILED
    *findings, last = done.objects
    assert last == {"report": str(report)}
    assert all(set(finding) == {"part", "verdict", "text", "remedy"} for finding in findings)
    verdicts = {finding["part"]: finding["verdict"] for finding in findings}
    assert verdicts["python"] == verdicts["bus"] == "ok"
    assert verdicts["activation"] == verdicts["model"] == "fail"
    assert all(finding["remedy"] for finding in findings if finding["verdict"] == "fail")
    text = report.read_text()
    assert str(tmp_path) not in text
    assert "~/absent" in text


async def test_a_report_can_go_to_standard_output(bus: PrivateBus, tmp_path: Path) -> None:
    """Only the report is printed, and no file is written."""
    command = [sys.executable, "-m", "coldvoxd.cli.main", "doctor", "--report", "-"]
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path,
        env=bus.environment | {"PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    out = (await process.communicate())[0].decode()
    assert out.startswith("# ")
    assert out.count("## ") > 1
    assert list(tmp_path.iterdir()) == []


async def test_a_report_that_cannot_be_written_is_told_at_once(ctl: Ctl, tmp_path: Path) -> None:
    done = await (await ctl("doctor", "--report", str(tmp_path / "no/report.md"))).ended()
    assert (done.exit, done.out) == (Exit.USAGE, "")
    assert "cannot be written" in done.err
