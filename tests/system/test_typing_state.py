"""The state of coldvox-type in the preferences of GNOME's extension, with a real systemd."""

from pathlib import Path

from tests.support.desktop.gjs import EXTENSION, SCRIPTS, needs_gjs
from tests.support.eventually import eventually_blocking
from tests.support.login.user_manager import UserManager, user_manager

UNIT = "coldvox-type.service"


def words(user: UserManager) -> str:
    return user.run("gjs", SCRIPTS / "typing.js", EXTENSION).stdout.strip()


@needs_gjs
def test_the_preferences_tell_whether_text_is_typed() -> None:
    with user_manager(kind=UserManager) as user:
        assert words(user).startswith("Not installed.")
        user.write(Path(".config/systemd/user") / UNIT, "[Service]\nExecStart=sleep infinity\n")
        user.systemctl("daemon-reload")
        assert words(user).startswith("Off.")
        user.systemctl("start", UNIT)
        assert words(user).startswith("On:")
        user.systemctl("kill", "--signal=SEGV", UNIT)
        eventually_blocking(lambda: words(user).startswith("It failed."), what="the failure")
