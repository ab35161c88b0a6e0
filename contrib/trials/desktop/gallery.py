"""Takes pictures of a real desktop while the real daemon is in each of its states (see gallery.sh)."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from gnome import VARIANTS, Gnome
from plasma import DARK, HIGH_CONTRAST, LIGHT, UPRIGHT, Plasma
from stage import CHECKOUT, ROOT, RUNTIME, SAMPLES, Stage, StageError, settled, until
from units import downloading, typing_service

from coldvoxd.bus.interface_xml import ENGINE
from tests.support.sound.servers import SoundServer, running

GALLERY = ROOT / "contrib/desktop/gallery"
SIZE = (800, 560)
SAID = SAMPLES / "07-the-meeting-is-on-monday-morning.flac"
LOADING_MS, RECOGNIZING_MS = 12_000, 5_000
"""Milliseconds that a step takes while its picture is taken."""
MISSING_MODEL = "parakeet-tdt-0.6b-v2"
DOWNLOADED = 0.42
"""Share of the model in the picture of a download."""
NO_DISPLAY = ":55"
"""Display without an X server."""
RIGHT_TO_LEFT = "ar_EG.UTF-8"
"""Language that is written from right to left."""
COLORS = 96
"""Colours per picture, to keep it small."""
LARGEST = 60_000
"""Size limit in bytes."""


class Gallery:
    """A desktop, and a daemon on a private sound server that is put into one state after the other."""

    def __init__(self, stage: Stage, desktop: Gnome | Plasma, sound: SoundServer) -> None:
        self.stage = stage
        self.desktop = desktop
        self.sound = sound

    async def take_all(self) -> None:
        await self.menu("gone")
        if isinstance(self.desktop, Plasma):
            await self.not_installed(self.desktop)
        await self.launch(f"OPENING {LOADING_MS}\nCPU HANG {LOADING_MS}")
        await self.stage.state_is("loading")
        await self.menu("loading")
        await self.stage.state_is("idle")
        await self.menu("idle", microphones=True)
        await self.listening()
        await self.transcribing()
        await self.degraded()
        await self.end()
        await self.launch()
        await self.stage.state_is("idle")
        self.sound.mute()
        await until(lambda: self.is_degraded("microphone-muted"), "the muted microphone")
        await self.menu("muted")
        self.sound.mute(muted=False)
        self.sound.kill()
        await until(lambda: self.is_degraded("microphone-lost"), "the lost microphone")
        await self.menu("no-microphone")
        self.sound.restart()
        await self.end()
        self.launch_daemon(model=MISSING_MODEL)
        await until(lambda: self.is_degraded("model-missing"), "the missing model")
        await self.menu("no-model")
        await self.end()
        await self.fetching(self.menu)
        if isinstance(self.desktop, Plasma):
            await self.in_other_colors(self.desktop)
            await self.failed_typing(self.desktop)
            await self.upright(self.desktop)
        if isinstance(self.desktop, Gnome):
            for name in VARIANTS:
                await self.variant(self.desktop, name)
            await self.preferences(self.desktop)
            await self.denied_typing(self.desktop)

    async def listening(self, suffix: str = "") -> None:
        """Take the picture with a window that receives the text."""
        letter = f"{RUNTIME}/letter.txt"
        window = self.stage.start(
            "letter", "gjs", "-m", f"{CHECKOUT}/contrib/trials/desktop/window.js", letter, "--listen"
        )
        await until(self.stage.inside(letter).exists, "the window")
        await self.stage.bus.call("StartDictation")
        await asyncio.to_thread(self.sound.play, SAID)
        await until(lambda: self.stage.inside(letter).read_text("utf-8"), "the words in the window")
        speaking = self.sound.play_in_background(SAID)
        await self.keep_soon(f"listening{suffix}")
        await asyncio.to_thread(speaking.wait)
        await self.stage.bus.call("StopDictation")
        window.terminate()
        self.stage.inside(letter).unlink()

    async def transcribing(self) -> None:
        """Take the picture while both the accelerator and the CPU are slow."""
        await self.stage.tell(self.stage.accelerator, f"HANG {RECOGNIZING_MS}")
        await self.stage.tell(self.stage.accelerator, f"CPU HANG {RECOGNIZING_MS}")
        await self.stage.bus.call("StartDictation")
        await asyncio.to_thread(self.sound.play, SAID)
        await self.stage.bus.call("ToggleDictation")
        await self.stage.state_is("transcribing")
        await self.menu("transcribing") if isinstance(self.desktop, Plasma) else await self.keep_soon("transcribing")
        await self.stage.state_is("idle")

    async def degraded(self, suffix: str = "") -> None:
        """Take the picture while the accelerator repeatedly runs out of memory."""
        await self.stage.tell(self.stage.accelerator, "WELL")
        await self.stage.tell(self.stage.accelerator, "FAULT memory 20")
        await self.stage.bus.call("StartDictation")
        await asyncio.to_thread(self.sound.play, SAID)
        await self.stage.bus.call("StopDictation")
        await until(lambda: self.is_degraded("gpu-out-of-memory"), "the accelerator without memory")
        await self.menu(f"degraded{suffix}")

    async def not_installed(self, desktop: Plasma) -> None:
        """Take the picture after a click where no service is installed: the answer opens the popup."""
        await desktop.click_light()
        await settled()
        await self.keep("not-installed", await desktop.menu_area())
        await desktop.hide_menu()

    async def fetching(self, keep: Callable[[str], Awaitable[None]], name: str = "fetching") -> None:
        """Take the picture during a download."""
        async with downloading(self.stage) as download:
            self.launch_daemon(model=MISSING_MODEL, fetch=True)
            await until(lambda: self.is_degraded("model-missing"), "the missing model")
            download.reaches(MISSING_MODEL, DOWNLOADED)
            await until(lambda: self.has_progress(DOWNLOADED), "the progress of the download")
            await keep(name)
        await self.end()

    async def in_other_colors(self, desktop: Plasma) -> None:
        """Take pictures in dark colours and with high contrast: with a problem, and during dictation."""
        for scheme, name in ((DARK, "dark"), (HIGH_CONTRAST, "high-contrast")):
            await desktop.use_colors(scheme)
            await self.launch()
            await self.stage.state_is("idle")
            await self.listening(f"-{name}")
            await self.degraded(f"-{name}")
            await self.end()
        await desktop.use_colors(LIGHT)

    async def variant(self, desktop: Gnome, name: str) -> None:
        """Take pictures during dictation and with a problem, with another setting of the desktop."""
        await desktop.vary(name)
        await self.dictating_and_degraded(f"-{name}")
        await desktop.vary(name, back=True)

    async def dictating_and_degraded(self, suffix: str) -> None:
        await self.launch()
        await self.stage.state_is("idle")
        await self.listening(suffix)
        await self.degraded(suffix)
        await self.end()

    async def denied_typing(self, desktop: Gnome) -> None:
        """Take the picture of the notification about a text that reached no window: the portal's question is denied."""
        await desktop.take_keyboard()
        await self.launch()
        await self.stage.state_is("idle")
        typing = self.stage.start_typing()  # GNOME shows nothing from a program that has ended, as with --last
        await until(lambda: "ready" in self.stage.log("coldvox-type").read_text(), "coldvox-type")
        await self.stage.bus.call("StartDictation")
        await asyncio.to_thread(self.sound.play, SAID)
        await self.stage.bus.call("StopDictation")
        await desktop.answer_question(allow=False)
        await until(lambda: "failed" in self.stage.log("coldvox-type").read_text(), "the outcome")
        await self.keep_soon("failed-typing")
        typing.terminate()
        await self.end()

    async def preferences(self, desktop: Gnome) -> None:
        """Take pictures of the preferences in light and dark colours, with the daemon and coldvox-type running."""
        await self.launch()
        await self.stage.state_is("idle")
        async with typing_service(self.stage):
            await desktop.vary("dark")
            await desktop.show_preferences()
            await self.keep_soon("preferences-dark")
            await desktop.vary("dark", back=True)
            await desktop.close_preferences()
            await desktop.show_preferences()
            await self.keep_soon("preferences")
            await desktop.close_preferences()
        await self.end()

    async def failed_typing(self, desktop: Plasma) -> None:
        """Take the picture of the notification about a text that reached no window: there is no such X server."""
        await desktop.show_notifications()
        await self.launch()
        await self.stage.state_is("idle")
        display = self.stage.environment["DISPLAY"]
        self.stage.environment["DISPLAY"] = NO_DISPLAY
        typing = self.stage.start_typing()
        self.stage.environment["DISPLAY"] = display
        log = self.stage.log("coldvox-type")
        await until(lambda: "ready" in log.read_text("utf-8"), "coldvox-type")
        await self.stage.bus.call("StartDictation")
        await asyncio.to_thread(self.sound.play, SAID)
        await self.stage.bus.call("StopDictation")
        await until(lambda: "failed" in log.read_text("utf-8"), "the failure")
        await self.keep_soon("failed-typing")
        typing.terminate()
        await self.end()

    async def upright(self, desktop: Plasma) -> None:
        """Take pictures of a vertical panel: ready, during a download, and during dictation."""
        await desktop.put_upright()
        await self.fetching(self.keep_soon, "fetching-upright")
        await self.launch()
        await self.stage.state_is("idle")
        await self.listening("-upright")
        await desktop.click(*UPRIGHT, button=2)
        await self.keep_soon("idle-upright")
        await desktop.hide_menu()
        await self.end()

    async def has_progress(self, share: float) -> bool:
        return bool(await self.stage.state() and await self.stage.bus.get(ENGINE, "Progress") == share)

    async def is_degraded(self, code: str) -> bool:
        return bool(await self.stage.bus.get(ENGINE, "Degraded") == code) if await self.stage.state() else False

    async def launch(self, script: str = "") -> None:
        """Start the daemon with a scripted virtual accelerator."""
        self.stage.accelerator.with_name("gpu.script").write_text(script)
        self.launch_daemon(provider=f"virtual:{self.stage.accelerator}")
        await until(self.stage.state, "the daemon")

    def launch_daemon(self, *, model: str = "mini", provider: str = "cpu", fetch: bool = False) -> None:
        sound = {key: value for key, value in self.sound.environment().items() if key.startswith("PULSE_")}
        self.stage.launch_daemon(device="default", model=model, provider=provider, fetch=fetch, environment=sound)

    async def end(self) -> None:
        await self.stage.end_daemon()
        await until(self.is_gone, "the daemon's end")

    async def is_gone(self) -> bool:
        return not await self.stage.state()

    async def menu(self, name: str, *, microphones: bool = False) -> None:
        """Take a picture of the open menu."""
        await settled()
        await self.desktop.show_menu(microphones=microphones)
        await self.keep(name, await self.desktop.menu_area())
        await self.desktop.hide_menu()

    async def keep_soon(self, name: str) -> None:
        await settled()
        await self.keep(name)

    async def keep(self, name: str, area: tuple[int, int, int, int] | None = None) -> None:
        """Take a picture of that part of the screen, or of all of it."""
        picture = await self.desktop.screenshot(name)
        inside = f"{RUNTIME}/{picture.name}"
        left, top, width, height = area or (0, 0, *SIZE)
        crop = f"{width}x{height}+{max(0, left)}+{max(0, top)}"
        small = f"PNG8:{inside}"
        await self.stage.run(
            "convert", inside, "-crop", crop, "+repage", "+dither", "-colors", str(COLORS), "-strip", small
        )
        if (size := picture.stat().st_size) > LARGEST:
            raise StageError(f"{name}: the picture has {size} bytes")
        (GALLERY / f"{self.desktop.name}-{name}.png").write_bytes(picture.read_bytes())
        print(f"contrib/desktop/gallery/{self.desktop.name}-{name}.png: {size} bytes", flush=True)


async def take(name: str, tree: Path) -> None:
    """Take all pictures of a desktop."""
    GALLERY.mkdir(exist_ok=True)
    async with set_up(name, tree, "C.UTF-8") as gallery:
        await gallery.take_all()
    if name == Gnome.name:
        async with set_up(name, tree, RIGHT_TO_LEFT) as gallery:
            await gallery.dictating_and_degraded("-right-to-left")


@contextlib.asynccontextmanager
async def set_up(name: str, tree: Path, language: str) -> AsyncIterator[Gallery]:
    """Start a desktop within the context."""
    async with Stage.set_up(tree) as stage:
        desktop = {"gnome": Gnome, "plasma": Plasma}[name](stage, *SIZE)
        with running() as sound:
            try:
                await desktop.start(language)
                await desktop.make_plain()
                yield Gallery(stage, desktop, sound)
                print(desktop.complaints(), end="", file=sys.stderr)
            except BaseException:
                for file in (stage.log("coldvoxd"), stage.log("letter")):
                    print(file.read_text(errors="replace")[-3000:] if file.exists() else "", file=sys.stderr)
                raise


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1], Path(os.environ["COLDVOX_DESKTOP_TREE"])))
