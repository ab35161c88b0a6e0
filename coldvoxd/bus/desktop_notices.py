"""Desktop notifications of the daemon: recognition left the accelerator, or a session returned no words."""

import asyncio
from collections.abc import Callable

from coldvoxd.bus.announcer import BusAnnouncer, Observer
from coldvoxd.core import failover_notice
from coldvoxd.core.failover_notice import Notice, NoticeState
from coldvoxd.core.settings import NotificationSettings
from coldvoxd.core.values import EngineStatus


class DesktopNotices(Observer):
    """Shows the notifications that the settings allow. They never contain spoken text. Event loop only."""

    def __init__(
        self,
        settings: NotificationSettings,
        announcer: BusAnnouncer,
        status: Callable[[], EngineStatus],
        state: NoticeState,
    ) -> None:
        """`status` returns the current engine status; `state` is that of the earlier process, if there was one."""
        self._settings = settings
        self._announcer = announcer
        self._status = status
        self.state = state
        """The provider last observed, and whether a notification was shown for it."""

    def use_settings(self, settings: NotificationSettings) -> None:
        self._settings = settings

    def state_changed(self) -> None:
        """Show that recognition moved from the accelerator to the CPU."""
        if not self._announcer.begun:
            return
        now_s = asyncio.get_running_loop().time()
        self.state, notice = failover_notice.step(self.state, self._status(), now_s)
        if notice is not None and self._settings.provider:
            self._announcer.notify(notice)

    def show_session(self, notice: Notice) -> None:
        """Show why a session returned no words."""
        if self._settings.no_words:
            self._announcer.notify(notice)
