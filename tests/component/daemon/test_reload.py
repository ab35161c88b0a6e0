"""After a reload every setting is in force or listed as awaiting a restart: from the file to the part that uses it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from coldvoxd import settings_file
from coldvoxd.assembly.build import build
from coldvoxd.assembly.parts import Parts
from coldvoxd.assembly.reload import SETTINGS_TABLE
from coldvoxd.bus.connection import Connection
from coldvoxd.bus.interface_xml import ENGINE, MICROPHONE
from coldvoxd.core.errors import NotReady
from coldvoxd.core.settings import FileSettings, LogSettings, Settings
from coldvoxd.core.values import EngineStatus
from coldvoxd.daemon import Daemon
from coldvoxd.settings_file import SettingDoc
from tests.support.bus.private_bus import PrivateBus
from tests.support.bus.screensaver import screen_saver
from tests.support.daemon.dictating import Dictating, dictating, lost_words
from tests.support.daemon.process import daemon as running_daemon
from tests.support.eventually import eventually
from tests.support.sound.servers import SoundServer
from tests.support.sound.speech import samples

IN_FORCE: dict[str, Callable[[Parts], object]] = {
    "microphone": lambda parts: replace(
        parts.audio.policy._settings,
        pre_roll_ms=parts.dictation._listening._pre_roll.pre_roll_ms,
        channel=str(parts.audio.channels._setting),
    ),
    "endpoint": lambda parts: parts.dictation._listening.endpoint,
    "dictation": lambda parts: parts.dictation._runner._settings,
    "model": lambda parts: parts.recognition.dispatcher._place.settings,
    "files": lambda parts: FileSettings(batch_size=parts.files._batch_size),
    "gpu": lambda parts: parts.recognition.gpu._watch.settings,
    "replacement": lambda parts: parts.host.reexec._settings,
    "notifications": lambda parts: parts.notices._settings,
    "log": lambda parts: LogSettings(
        level=logging.getLevelName(logging.getLogger().level).lower(),
        spoken_text=parts.dictation._runner.queue.log_text,
    ),
}
"""For each section of the settings, its values as held by the part that uses them."""


def another(doc: SettingDoc, directory: Path) -> object:
    """Return a valid value of the setting that is not its default."""
    named = {
        "microphone.device": f"virtual:{directory}/second",
        "microphone.channel": "right",
        "dictation.language": "de",
        "model.name": "mini",
        "model.fallback_model": str(directory / "ggml.bin"),
        "model.provider": "cpu",
        "model.precision": "int8",
    }
    metadata = settings_file._metadata(doc)
    if (key := f"{doc.section}.{doc.key}") in named:
        return named[key]
    if isinstance(doc.default, bool):
        return not doc.default
    if "choices" in metadata:
        return next(choice for choice in metadata["choices"] if choice != doc.default)
    if isinstance(doc.default, int | float):
        return metadata["min"] if doc.default != metadata["min"] else metadata["min"] + 1
    raise AssertionError(f"{key} has no other value here: name one above")


def written(values: Mapping[str, Mapping[str, object]]) -> str:
    """Return the text of a settings file."""
    return "".join(
        f"[{section}]\n" + "".join(f"{key} = {settings_file.toml_value(value)}\n" for key, value in table.items())
        for section, table in values.items()
    )


@asynccontextmanager
async def serving(bus: PrivateBus, file: Path, until: Callable[[EngineStatus], object]) -> AsyncIterator[Parts]:
    """Yield the parts of a daemon in this process after its engine status satisfies `until`."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
    patch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={bus.directory}/no-system-bus")
    patch.delenv("XDG_RUNTIME_DIR", raising=False)
    level = logging.getLogger().level
    parts = build(settings_file.load(file), await Connection.open(), lambda: settings_file.load(file))
    daemon = Daemon(parts)
    task = asyncio.create_task(daemon.serve())
    try:
        await eventually(lambda: task.done() or until(parts.recognition.dispatcher.status), what="the model's state")
        yield parts
    finally:
        daemon.stop()
        await task
        logging.getLogger().setLevel(level)
        patch.undo()


def test_every_section_goes_to_a_part_at_a_reload() -> None:
    named = {section for sections, _ in SETTINGS_TABLE for section in sections.split()}
    assert named == {field.name for field in fields(Settings)}


async def test_every_setting_is_in_force_after_a_reload(tmp_path: Path) -> None:
    with PrivateBus() as bus:
        file = tmp_path / "coldvoxd.toml"
        first = {"microphone": {"device": f"virtual:{bus.directory}/mic"}, "model": {"name": "mini"}}
        file.write_text(written(first))
        docs = list(settings_file.describe())
        fresh: dict[str, dict[str, Any]] = {}
        for doc in docs:
            fresh.setdefault(doc.section, {})[doc.key] = another(doc, tmp_path)
        async with serving(bus, file, lambda status: status.ready) as parts:
            file.write_text(written(fresh))
            await parts.engine.reload()
            for doc in docs:
                value = getattr(IN_FORCE[doc.section](parts), doc.key)
                assert value == fresh[doc.section][doc.key], f"{doc.section}.{doc.key}"
            assert parts.engine.awaiting_restart == ()
            assert parts.host.lock.wanted


@asynccontextmanager
async def reloading(server: SoundServer, bus: PrivateBus, file: Path, microphone: str) -> AsyncIterator[Dictating]:
    """Yield a daemon with this settings file."""
    file.write_text(f"[microphone]\n{microphone}\n")
    async with dictating(server, bus, file) as daemon:
        yield daemon


async def reload(daemon: Dictating, file: Path, microphone: str) -> None:
    file.write_text(f"[microphone]\n{microphone}\n")
    await daemon.client.call("Reload", interface=ENGINE)


async def test_a_policy_that_was_reloaded_closes_and_opens_the_microphone(pulse: SoundServer, tmp_path: Path) -> None:
    """Pins privacy: the microphone follows the policy that `coldvoxctl config` shows."""
    file, one = tmp_path / "coldvoxd.toml", samples()[0]
    with PrivateBus() as bus:
        async with reloading(pulse, bus, file, 'policy = "always"') as daemon:
            await daemon.until("Open", True)
            await reload(daemon, file, 'policy = "on-demand"')
            assert await daemon.get("Policy") == "on-demand"
            await daemon.until("Open", False)
            assert pulse.streams() == {}
            assert not lost_words(await daemon.dictate(pulse, one), one)
            await daemon.until("Open", False)
            await reload(daemon, file, 'policy = "idle-release"\nidle_release_s = 86400')
            assert not lost_words(await daemon.dictate(pulse, one), one)
            assert await daemon.get("Open") is True
            await reload(daemon, file, 'policy = "idle-release"\nidle_release_s = 0.01')
            await daemon.until("Open", False)
            await reload(daemon, file, 'policy = "always"')
            await daemon.until("Open", True)


async def test_a_policy_that_was_reloaded_in_a_session_leaves_the_session_its_microphone(
    pulse: SoundServer, tmp_path: Path
) -> None:
    file, one = tmp_path / "coldvoxd.toml", samples()[0]
    with PrivateBus() as bus:
        async with reloading(pulse, bus, file, 'policy = "always"') as daemon:
            await daemon.until("Open", True)
            await daemon.client.call("StartDictation")
            await reload(daemon, file, 'policy = "on-demand"')
            await asyncio.to_thread(pulse.play, one.path)
            assert not lost_words(str(await daemon.client.call("StopDictation")), one)
            await daemon.until("Open", False)


async def test_a_headset_is_spared_or_kept_open_as_the_reloaded_settings_say(
    pulse: SoundServer, tmp_path: Path
) -> None:
    pulse.unplug(2)
    pulse.plug(2, "device.bus=bluetooth")
    file = tmp_path / "coldvoxd.toml"
    with PrivateBus() as bus:
        async with reloading(pulse, bus, file, 'device = "Built-in"') as daemon:
            await daemon.until("Open", False)
            await reload(daemon, file, 'device = "Built-in"\nbluetooth_always = true')
            await daemon.until("Open", True)
            assert await daemon.get("Policy") == "always"
            await reload(daemon, file, 'device = "Built-in"')
            await daemon.until("Open", False)


async def test_a_microphone_of_reloaded_settings_is_waited_for(pulse: SoundServer, tmp_path: Path) -> None:
    pulse.unplug(2)
    file, one = tmp_path / "coldvoxd.toml", samples()[0]
    with PrivateBus() as bus:
        async with reloading(pulse, bus, file, 'policy = "always"') as daemon:
            await daemon.until("Open", True)
            await reload(daemon, file, 'device = "Built-in"')
            await daemon.state("unavailable")
            assert "no microphone “Built-in”" in await daemon.get("Problem")
            await asyncio.to_thread(pulse.plug, 2)
            await daemon.state("idle")
            assert not lost_words(await daemon.dictate(pulse, one, "speaker2"), one)


async def test_the_screen_lock_counts_from_the_reload_that_asks_for_it(pulse: SoundServer, tmp_path: Path) -> None:
    file = tmp_path / "coldvoxd.toml"
    with PrivateBus() as bus:
        async with (
            screen_saver(bus.address, active=True) as saver,
            reloading(pulse, bus, file, "release_on_lock = false") as daemon,
        ):
            await daemon.until("Open", True)
            await reload(daemon, file, "release_on_lock = true")
            await daemon.until("Open", False)
            await reload(daemon, file, "release_on_lock = false")
            await daemon.until("Open", True)
            saver.unlock()
            await reload(daemon, file, "release_on_lock = true")
            assert await daemon.get("Open") is True
            saver.lock()
            await daemon.until("Open", False)


async def test_what_waits_for_a_restart_is_named_until_it_no_longer_does(tmp_path: Path) -> None:
    with PrivateBus() as bus:
        async with running_daemon(bus, tmp_path) as running, running.client() as client:
            before = running.settings.read_text()
            running.settings.write_text(before.replace(f"virtual:{running.microphone}", "default"))
            await client.call("Reload", interface=ENGINE)
            assert await client.get(ENGINE, "AwaitingRestart") == ["microphone.device"]
            assert "require a restart: microphone.device" in running.log
            assert await client.get(MICROPHONE, "Device") == f"virtual:{running.microphone}"
            running.settings.write_text(before)
            await client.call("Reload", interface=ENGINE)
            assert await client.get(ENGINE, "AwaitingRestart") == []


async def test_settings_count_while_no_model_is_there_to_be_kept(tmp_path: Path) -> None:
    """A reload has nothing to preserve then: it looks for the new model and applies the other settings."""
    with PrivateBus() as bus:
        file, place = tmp_path / "coldvoxd.toml", tmp_path / "placed"
        device = {"microphone": {"device": f"virtual:{bus.directory}/mic"}}
        file.write_text(written({**device, "model": {"name": "nowhere"}}))
        async with serving(bus, file, lambda status: status.degraded) as parts:
            file.write_text(written({**device, "model": {"name": str(place)}, "dictation": {"max_seconds": 7}}))
            with pytest.raises(NotReady, match=rf"{place}.* The settings are in force\.$"):
                await parts.engine.reload()
            assert parts.dictation._runner._settings.max_seconds == 7
            gone = {"fallback": "whisper", "fallback_model": str(tmp_path / "gone.bin")}
            file.write_text(written({**device, "model": {"name": str(place), **gone}}))
            with pytest.raises(
                NotReady, match=r"The fallback engine whisper cannot be used.* The settings are in force\.$"
            ):
                await parts.engine.reload()
            place.symlink_to(settings_of_mini())
            await eventually(
                lambda: parts.recognition.dispatcher.status.ready, what="the model that the settings name now"
            )


def settings_of_mini() -> Path:
    """Return the directory of the bundled model."""
    from coldvoxd.models.directories import bundled_directory

    return bundled_directory()
