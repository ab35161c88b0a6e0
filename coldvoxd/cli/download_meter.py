"""Reports the progress of a download: for people, and as JSON."""

import time
from typing import TYPE_CHECKING

from coldvoxd.cli.output import Output, StatusLine, print_remark
from coldvoxd.core.sizes import size_text

if TYPE_CHECKING:
    from coldvoxd.models.fetch import FetchProgress
    from coldvoxd.models.progress import ToldProgress

JSON_INTERVAL_S = 0.5


def told(progress: "FetchProgress") -> "ToldProgress":
    from coldvoxd.models.progress import ToldProgress

    return ToldProgress(
        model=progress.model,
        precision=progress.precision,
        state=str(progress.state),
        fraction=round(progress.fraction, 6),
        bytes=progress.done_bytes,
        total_bytes=progress.total_bytes,
        message=progress.message,
    )


class Meter:
    """Reports the progress on stderr: on a terminal one line that is overwritten, elsewhere starts and waits."""

    def __init__(self) -> None:
        self._line = StatusLine()
        self._printed: list[str] = []

    def __call__(self, progress: "FetchProgress") -> None:
        text = _line(progress, with_bytes=self._line.wanted)
        if self._line.wanted and text:
            self._line.show("", text)
        elif not self._line.wanted and progress.state in {"fetching", "waiting"}:
            news = text.partition("; retrying in ")[0]
            if news not in self._printed:
                self._printed.append(news)
                print_remark(text)

    def clear(self) -> None:
        """Clear the line."""
        self._line.clear()


class JsonMeter:
    """Reports the progress as objects on stdout: for each percent and change of state, and twice a second."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._last = ("", "", -1)
        self._due_s = 0.0

    def __call__(self, progress: "FetchProgress") -> None:
        now_s = time.monotonic()
        kind = (str(progress.state), progress.message, round(100 * progress.fraction))
        if progress.state in {"done", "failed"} or (kind == self._last and now_s < self._due_s):
            return
        self._last, self._due_s = kind, now_s + JSON_INTERVAL_S
        shown = told(progress)
        self._output.result({"event": "progress", **{name: getattr(shown, name) for name in shown.__slots__}})

    def clear(self) -> None:
        """Nothing to clear."""


def _line(progress: "FetchProgress", *, with_bytes: bool) -> str:
    match progress.state:
        case "fetching":
            if not with_bytes:
                return f"downloading {progress.model}, {size_text(progress.total_bytes)}"
            amount = f"{size_text(progress.done_bytes)} of {size_text(progress.total_bytes)}"
            return f"fetching {progress.model}: {progress.fraction:4.0%}, {amount}"
        case "waiting":
            return f"waiting: {progress.message}"
        case "checking":
            return f"checking {progress.model}"
        case _:
            return ""
