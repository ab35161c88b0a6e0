"""coldvox-type under a real user manager: it outlives the last text of a daemon that is stopped."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually_blocking
from tests.support.login.login import UNIT, Login, samples
from tests.support.login.user_manager import ROOT, wait_until_active

TYPING = "coldvox-type.service"
OPEN = samples()[0]


@pytest.fixture
def typing(dictation: Login) -> Iterator[Login]:
    """A running coldvox-type. There is no desktop here, so its texts are kept for `--last`."""
    program = dictation.ctl.with_name("coldvox-type")
    start = "import sys; from coldvoxd.typist.__main__ import main; sys.exit(main())"
    dictation.write(
        program,
        f"#!/bin/sh\nexport PYTHONPATH='{ROOT}' PYTHONDONTWRITEBYTECODE=1\n"
        f'exec \'{sys.executable}\' -c "{start}" "$@"\n',
        executable=True,
    )
    unit = (ROOT / "systemd" / TYPING).read_text("utf-8")
    dictation.write(f".config/systemd/user/{TYPING}", unit)
    dictation.systemctl("daemon-reload")
    dictation.systemctl("enable", TYPING)
    dictation.run("rm", "-rf", kept(dictation).parent)
    dictation.systemctl("start", TYPING)
    wait_for_ready(dictation, 1)
    yield dictation
    dictation.systemctl("disable", "--now", TYPING)


def kept(place: Login) -> Path:
    return place.runtime / "coldvox-type/undelivered"


def wait_for_ready(place: Login, times: int) -> None:
    wait_until_active(place, TYPING)
    since = place.show(TYPING, "InvocationID")
    eventually_blocking(
        lambda: (
            place.run("journalctl", "--user", f"_SYSTEMD_INVOCATION_ID={since}", "-o", "cat", check=False).stdout.count(
                "ready\n"
            )
            >= times
        ),
        what="coldvox-type ready",
    )


@pytest.mark.parametrize("verb", ["restart", "stop"])
def test_what_is_said_right_before_the_daemon_is_stopped_is_not_lost(typing: Login, verb: str) -> None:
    typing.answer("StartDictation")
    typing.speak(OPEN)
    typing.systemctl(verb, UNIT)
    expected = "active" if verb == "restart" else "inactive"
    eventually_blocking(lambda: typing.show(TYPING, "ActiveState") == expected, what=f"coldvox-type {expected}")
    # No later process of either types it.
    assert OPEN.is_in(typing.run("cat", kept(typing), check=False).stdout), typing.journal(TYPING)
    assert "failed session=" in typing.journal(TYPING)
    assert not OPEN.is_in(typing.journal(TYPING))
