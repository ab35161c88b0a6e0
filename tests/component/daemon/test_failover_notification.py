"""The real daemon shows a failover notification, on a private bus with a notification service."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.bus.notifications import NotificationService
from tests.support.bus.private_bus import PrivateBus
from tests.support.faults.matrix_rows import Row
from tests.support.faults.matrix_stage import Stage, TimedClient

TWICE = "FAULT memory; say 0; hear; on cpu; on gpu; FAULT nan; say 16; hear; on cpu"


@pytest.mark.parametrize(("wanted", "times"), [("true", 1), ("false", 0)])
async def test_the_desktop_shows_one_notification_of_a_failover(wanted: str, times: int) -> None:
    """The accelerator returns and fails again immediately."""
    row = Row("told", "in the encoder", TWICE, settings={"COLDVOXD_NOTIFICATIONS_PROVIDER": wanted})
    directory = Path(tempfile.mkdtemp(prefix="coldvoxd-notify-"))
    with PrivateBus() as bus:
        stage = Stage(row, bus, directory, timed=False)
        try:
            async with NotificationService(bus.address) as desktop, TimedClient(bus.address) as client:
                outcome = await stage.play(client)
        finally:
            print(stage.log)
            stage.stop()
            shutil.rmtree(directory)
    assert outcome.holds
    assert len(desktop.shown) == times
    for body in desktop.shown:
        assert body[0] == "coldvoxd"
        assert "out of memory" in str(body[4])
        assert "Open the file" not in str(body)
