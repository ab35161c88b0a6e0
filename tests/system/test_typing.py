"""coldvox-type under a real user manager: it outlives the last text of a daemon that is stopped."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually_blocking
from tests.support.login.login import UNIT, Login, login, samples
from tests.support.login.user_manager import wait_until_active

TYPING = "coldvox-type.service"
OPEN = samples()[0]


@pytest.fixture
def typing(dictation: Login) -> Iterator[Login]:
    """A running coldvox-type. There is no desktop here, so its texts are kept for `--last`."""
    begin_to_type(dictation)
    yield dictation
    dictation.systemctl("disable", "--now", TYPING)


def begin_to_type(place: Login) -> None:
    place.systemctl("enable", TYPING)
    place.run("rm", "-rf", kept(place).parent)
    place.systemctl("start", TYPING)
    wait_for_ready(place, 1)


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


def journal_of_the_end(place: Login, unit: str, length: int) -> str:
    """Return what the journal has of a unit after `length` characters, once it has ended."""

    def found() -> str:
        added = place.journal(unit)[length:]
        return added if "Stopped " in added else ""

    return eventually_blocking(found, what=f"the end of {unit}")


def test_the_services_end_cleanly_with_the_login() -> None:
    """The bus is stopped after them, so that neither reports a lost connection and is restarted meanwhile."""
    with login() as leaving:
        leaving.start()
        begin_to_type(leaving)
        before = {unit: len(leaving.journal(unit)) for unit in (UNIT, TYPING)}
        leaving.systemctl("exit", check=False)
        for unit, length in before.items():
            ended = journal_of_the_end(leaving, unit, length)
            for word in ("Failed", "exited, code=", "Scheduled restart", "Traceback"):
                assert word not in ended, ended
