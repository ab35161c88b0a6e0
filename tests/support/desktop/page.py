"""A page in Chromium with one text field, which reports its content by HTTP."""

import contextlib
import http.server
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.desktop.windows import Desktop, Window
from tests.support.eventually import eventually

_BROWSER = [
    "chromium",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--password-store=basic",
]
# The content is reported until a report was accepted, with a rising number: a beacon for each change would be dropped when
# the browser has too many of them under way, and may arrive after a later one.
_PAGE = """<!doctype html><meta charset="utf-8"><title>page</title><textarea autofocus rows=20 cols=80></textarea><script>
const area = document.querySelector("textarea");
area.focus();
let number = 0, reported = null;
const post = (path, body) => fetch(path, {method: "POST", body});
async function report() {
  const value = area.value;
  try {
    if (document.hasFocus()) await post("/focus", "");
    if (value !== reported) { await post("/" + ++number, value); reported = value; }
  } catch { }
  setTimeout(report, 50);
}
// Chromium drops keys before the first frame.
requestAnimationFrame(() => requestAnimationFrame(report));
BUSY
</script>"""
_BUSY_AT_INPUT = "area.oninput = () => {{ const end = performance.now() + {}; while (performance.now() < end); }};"
_BUSY = "setInterval(() => {{ const end = performance.now() + {}; while (performance.now() < end); }}, {});"


@dataclass
class Page:
    """The page's content, as it reports it."""

    content: str = ""
    loaded: bool = False
    focused: bool = False
    port: int = 0
    _number: int = 0

    def reported(self, path: str, body: str) -> None:
        self.loaded = True
        if path == "/focus":
            self.focused = True
        elif int(path[1:]) > self._number:
            self._number, self.content = int(path[1:]), body

    async def wait_for(self, text: str, *, patience_s: float = 60.0) -> None:
        await eventually(
            lambda: self.content == text, patience_s=patience_s, what=f"{len(text)} characters in the page"
        )


@contextlib.contextmanager
def served(busy_ms: int = 0, period_ms: int = 300, *, input_ms: int = 0) -> Iterator[Page]:
    """Serve the page on a local port; its main thread is busy for `busy_ms` of every `period_ms` milliseconds.

    It is also busy for `input_ms` after each input.
    """
    page = Page()
    busy = [_BUSY.format(busy_ms, period_ms)] * bool(busy_ms) + [_BUSY_AT_INPUT.format(input_ms)] * bool(input_ms)
    html = _PAGE.replace("BUSY", "\n".join(busy))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def do_POST(self) -> None:
            page.reported(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        page.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield page
        server.shutdown()


@contextlib.contextmanager
def browser(desktop: Desktop, page: Page, platform: str) -> Iterator[Window]:
    """Show the page in Chromium; `platform` is `wayland` or `x11`."""
    profile = desktop.directory / f"profile-{page.port}"
    command = [*_BROWSER, f"--ozone-platform={platform}", f"--user-data-dir={profile}"]
    window = desktop.spawn(f"browser-{page.port}", *command, f"--app=http://127.0.0.1:{page.port}/")
    try:
        yield window
    finally:
        window.process.terminate()
        window.process.wait()
        shutil.rmtree(profile, ignore_errors=True)
