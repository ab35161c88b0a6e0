#!/usr/bin/env python3
"""Types 55 sentences in five languages into windows of a private X server and a private sway, and counts wrong ones.

Run it manually in a checkout's environment: .venv/bin/python contrib/trials/typed_texts.py [--sentences 2] [--busy]. It
needs the programs of `contrib/test.sh --system`. It prints their versions and a table, in which a window of a missing
program is `not run`, and exits with 1 if a text was wrong or missing, else with 69 if a window was not run.
"""

# ruff: noqa: RUF001 - texts in several scripts
import argparse
import asyncio
import contextlib
import io
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.desktop.page import browser, served  # noqa: E402 - the checkout's own
from tests.support.desktop.typing_client import TypingClient, typing_client  # noqa: E402
from tests.support.desktop.windows import (  # noqa: E402
    DEBIAN_PYTHON,
    SWAY_PROGRAMS,
    X11_PROGRAMS,
    SwayDesktop,
    XDesktop,
    lacking,
    lacking_gtk,
    sway,
    x11,
)
from tests.support.eventually import eventually  # noqa: E402

MISSING = 69
PATIENCE_S = 20.0
WINDOWS = {"sway": ("Chromium", "GTK 3", "GTK 4", "foot"), "x11": ("Chromium", "GTK 3", "GTK 4", "xterm")}
_GTK_VERSION = """
import sys, gi
gi.require_version("Gtk", sys.argv[1])
from gi.repository import Gtk
print(Gtk.get_major_version(), Gtk.get_minor_version(), Gtk.get_micro_version(), sep=".")
"""
VERSIONS = {
    "Chromium": ["chromium", "--version"],
    "GTK 3": [DEBIAN_PYTHON, "-c", _GTK_VERSION, "3.0"],
    "GTK 4": [DEBIAN_PYTHON, "-c", _GTK_VERSION, "4.0"],
    "foot": ["foot", "--version"],
    "sway": ["sway", "--version"],
    "xterm": ["xterm", "-version"],
}
"""Commands that print a program's version."""
SENTENCES = {
    "en": """Let's just keep it open.
The meeting starts at 9:30, doesn't it?
Please send Joe the "final" version (draft 7) by Friday!
We quickly fixed six of the twelve bugs; the rest can wait.
Yes - no, wait: 25% of $1,400 is $350.
Max was very quick, but Jo zigzagged home before him.
What? Who? When? Why?
Copy ~/notes/a_b.txt to c:\\\\d & mail it to x@y.org #now.
I'd like two coffees, one tea [no milk] and a bun.
Her e-mail said: "It's done, isn't it?" Great.
This sentence is longer than the others, because the last characters of a long text must arrive as well.""",
    "de": """Der Zug fährt um 8:45 Uhr von Gleis 7 ab.
Grüße an Zoë, Jürgen und Frau Weiß!
Können wir das „später“ besprechen?
Später üben wir noch ein Stück für zwei Xylophone, jawohl.
Das kostet 1.250,00 € — zu viel, oder?
Öl, Äpfel, Übung: alles fehlt.
Ja; nein; vielleicht …
Die Straße ist wegen Bauarbeiten gesperrt.
Er fragte: »Wer hat das geschrieben?«
Bitte 3 kg Möhren & ½ Pfund Käse mitbringen.
Morgen fährt Quirin mit dem großen Bus zurück nach Jülich.""",
    "fr": """Où est passé l'élève ?
Ça coûte 12,50 €, c'est très cher !
Ma sœur a vu un bœuf, onze kiwis et un wagon bleu.
Il a dit : « À bientôt, n'est-ce pas ? »
L'été, la forêt brûle… hélas.
Noël à Besançon, Pâques à Nîmes.
Dès qu'il pleut, on s'ennuie.
Un garçon naïf mangeait des crêpes près du château.
Rendez-vous à 18 h 30 — sans faute.
Ouvrez le fichier n° 4, s'il vous plaît.
Le juge boit un whisky, puis il range sa vieille fourche.""",
    "ru": """Щенок Юлии съел мой завтрак, а потом фыркнул.
Эту большую площадь хотят перестроить уже к следующему лету, но жители пока против.
Встреча в 10:30, верно?
Он сказал: «Приходи завтра!»
Чей это цветок? Мой, я купила его в магазине!
Это стоит 1 500 ₽ — дорого.
Объявление № 7 уже снято.
Нет, нет и ещё раз нет; всё ясно.
Где моя шляпа, ёлки-палки?
Хорошо, — вздохнул мэр, — подождём ещё час.
Мы ехали долго, очень долго, пока не увидели огни большого города.""",
    "el": """Ο ψηλός ξένος φώναξε κάτι από το παράθυρο.
Τι ώρα αρχίζει η συνάντηση;
Ἡ ἀδελφή μου ἔγραψε πολὺ ὡραῖα τὸ γράμμα.
Καλημέρα! Πώς είσαι σήμερα;
Το κόστος είναι 12,50 €, όχι περισσότερο.
Είπε: «Θα έρθω αύριο.»
Χθες βράδυ ξεχάσαμε δέκα βιβλία στο γραφείο.
Ναι· όχι· ίσως.
Άνοιξε το αρχείο, παρακαλώ.
Ο Ηλίας και η Άννα πήγαν στην Αθήνα.
Το τρένο φεύγει στις 8:45 από την αποβάθρα 7.""",
}

Content = Callable[[], str]


@dataclass
class Row:
    """A row of the table."""

    desktop: str
    into: str
    texts: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    """Number of wrong texts by language."""
    reported: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        wrong = ", ".join(f"{language} {count}" for language, count in self.wrong.items()) or "0"
        reported = ", ".join(f"{count} {words}" for words, count in sorted(self.reported.items()))
        return f"| {self.desktop} | {self.into} | {self.texts} | {wrong} | {reported} |"


async def type_all(row: Row, content: Content, client: TypingClient, asked: argparse.Namespace) -> Row:
    """Dictate sentence by sentence, each in a session of its own, and compare what the window got."""
    await client.hear("Begin.")
    await eventually(lambda: content().endswith("Begin."), what="the first text")
    for language, lines in [*SENTENCES.items()] * asked.times:
        for text in lines.splitlines()[: asked.sentences]:
            before = content()
            told = await client.hear(text)
            row.texts += 1
            row.reported[
                " ".join(word for word in told.split() if word.startswith(("method", "del", "uns", "fail")))
            ] += 1
            expected = f"{before} {text}"
            with contextlib.suppress(AssertionError):
                await eventually(lambda expected=expected: content() == expected, patience_s=PATIENCE_S)  # type: ignore[misc]
            if content() != expected:
                row.wrong[language] += 1
                print(f"{row.desktop}, {row.into}: {text!r} arrived as {content()[len(before) :]!r}", file=sys.stderr)
    return row


@contextlib.asynccontextmanager
async def window(desktop: XDesktop | SwayDesktop, name: str) -> AsyncIterator[Content]:
    """Show a window of this name; yield a function that returns its content."""
    if name == "Chromium":
        platform = "x11" if isinstance(desktop, XDesktop) else "wayland"
        with served() as page, browser(desktop, page, platform):
            await eventually(lambda: page.loaded, what="the page")
            await asyncio.to_thread(desktop.focus, "page")
            yield lambda: page.content
        return
    if name.startswith("GTK"):
        shown = await asyncio.to_thread(desktop.gtk, name.replace(" ", "-"), f"{name[-1]}.0")
    else:
        shown = await asyncio.to_thread(desktop.xterm if isinstance(desktop, XDesktop) else desktop.foot, name)
    yield lambda: shown.text
    shown.process.kill()
    shown.process.wait()


def lacking_for(name: str) -> str:
    """Return why windows of this name can't be shown here; empty if they can."""
    return (
        lacking_gtk(f"{name[-1]}.0") if name.startswith("GTK") else lacking(["chromium"] if name == "Chromium" else [])
    )


async def on_desktop(name: str, asked: argparse.Namespace, report: Callable[[Row | str], None]) -> int:
    """Run the trial on one desktop; return 1 if a text was wrong, else MISSING if a window was not run, else 0."""
    wrong = missing = False
    directory = Path(tempfile.mkdtemp(prefix="coldvoxd-texts-"))
    try:
        with (x11 if name == "x11" else sway)(directory) as desktop:
            async with typing_client(desktop.environment, directory) as client:
                for into in [asked.into] if asked.into else WINDOWS[name]:
                    if reason := lacking_for(into):
                        report(f"| {name} | {into} | not run: {reason} | | |")
                        missing = True
                        continue
                    async with window(desktop, into) as content:
                        row = await type_all(Row(name, into), content, client, asked)
                        report(row)
                        wrong = wrong or bool(row.wrong)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if wrong else MISSING if missing else 0


@contextlib.contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep as many processors busy within the context."""
    running = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(processes)]
    for process in running:
        process.start()
    try:
        yield
    finally:
        for process in running:
            process.kill()


def _spin() -> None:
    while True:
        pass


def machine() -> str:
    """Return the time, the versions of the programs, and the machine's load."""
    versions = []
    for program, command in VERSIONS.items():
        with contextlib.suppress(OSError):
            printed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            if number := re.search(r"\d[\d.]*", printed):
                versions.append(f"{program.split()[0]} {number[0]}")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {', '.join(versions)}; {os.cpu_count()} CPUs, load average {load}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--desktop", choices=["x11", "sway"], help="only this one")
    parser.add_argument(
        "--into", choices=sorted({name for names in WINDOWS.values() for name in names}), help="only this one"
    )
    parser.add_argument("--times", type=int, default=1, help="how often each sentence is dictated")
    parser.add_argument("--sentences", type=int, default=11, help="sentences per language, at most 11")
    parser.add_argument("--busy", action="store_true", help="keep twice as many processes busy as there are processors")
    arguments = parser.parse_args()
    desktops = [
        name
        for name, windows in WINDOWS.items()
        if arguments.desktop in {None, name} and arguments.into in {None, *windows}
    ]
    if not desktops:
        parser.error(f"there is no {arguments.into} on {arguments.desktop}")
    if reason := lacking((*X11_PROGRAMS, *SWAY_PROGRAMS)):
        print(f"texts: {reason}", file=sys.stderr)
        return MISSING
    os.environ.pop("DBUS_SESSION_BUS_ADDRESS", None)
    print(f"{machine()}\n\n| desktop | into | texts | wrong | reported |\n|---|---|---|---|---|", flush=True)
    codes, table = [], sys.stdout

    def report(row: Row | str) -> None:
        print(row, file=table, flush=True)

    with busy(2 * (os.cpu_count() or 1) if arguments.busy else 0):
        for name in desktops:
            with contextlib.redirect_stdout(io.StringIO()):
                codes.append(asyncio.run(on_desktop(name, arguments, report)))
    print(f"\n{machine()}")
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
