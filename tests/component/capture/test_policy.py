"""When the microphone is open and which one is used, seen from the bus: real daemon, real sound servers."""

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from coldvoxd.bus.interface_xml import DICTATION, ENGINE, MICROPHONE
from coldvoxd.cli.wordless import MUTED
from coldvoxd.core.values import SAMPLE_RATE
from coldvoxd.dictation.no_words_notice import NOTHING_HEARD
from tests.support.bus.notifications import NotificationService
from tests.support.bus.private_bus import BusError, PrivateBus
from tests.support.bus.screensaver import screen_saver
from tests.support.daemon.dictating import dictating, lost_words
from tests.support.eventually import eventually
from tests.support.sound.servers import SoundServer
from tests.support.sound.speech import samples

ONE, TWO = samples()[:2]


async def test_two_microphones_have_their_names_and_each_is_heard_when_selected(sound: SoundServer) -> None:
    async with dictating(sound) as daemon:
        assert await daemon.get("Devices") == [["mic1", "Blue Yeti"], ["mic2", "Built-in Audio"]]
        assert (await daemon.get("Device"), await daemon.get("Selection")) == ("Blue Yeti", "default")
        assert not lost_words(await daemon.dictate(sound, ONE), ONE)
        await daemon.client.call("SelectDevice", "s", "built-in", interface=MICROPHONE)
        await daemon.until("Device", "Built-in Audio")
        assert await daemon.get("Selection") == "mic2"
        assert not lost_words(await daemon.dictate(sound, TWO, "speaker2"), TWO)
        await asyncio.to_thread(sound.set_default_source, "mic1")  # does not affect a selected microphone
        assert not lost_words(await daemon.dictate(sound, ONE, "speaker2"), ONE)
        await daemon.client.call("SelectDevice", "s", "default", interface=MICROPHONE)
        await daemon.until("Device", "Blue Yeti")
        assert not lost_words(await daemon.dictate(sound, TWO), TWO)


async def test_no_other_programs_stream_and_no_default_is_touched(sound: SoundServer) -> None:
    async with dictating(sound, device="mic1") as daemon:
        other = sound.record_in_background()
        try:
            await eventually(lambda: len(sound.streams()) == 2)
            streams = sound.streams()
            await daemon.client.call("SelectDevice", "s", "mic2", interface=MICROPHONE)
            await daemon.until("Device", "Built-in Audio")
            theirs = {index: source for index, (name, source) in streams.items() if name != "org.coldvox.Daemon1"}
            after = {index: source for index, (_, source) in sound.streams().items()}
            assert len(theirs) == 1
            assert theirs.items() <= after.items()
            assert sound._run("pactl", "get-default-source").strip() == "mic1"
        finally:
            other.terminate()
            other.wait()


async def test_the_default_is_followed_again_after_a_person_has_moved_the_stream(sound: SoundServer) -> None:
    """Servers remember such a move, and would leave the stream on the other source."""
    async with dictating(sound) as daemon:
        await daemon.until("Device", "Blue Yeti")
        await asyncio.to_thread(sound.move_stream, "mic2")
        await daemon.until("Device", "Built-in Audio")
        await asyncio.to_thread(sound.set_default_source, "mic2")
        assert not lost_words(await daemon.dictate(sound, ONE, "speaker2"), ONE)
        await asyncio.to_thread(sound.set_default_source, "mic1")
        await daemon.until("Device", "Blue Yeti")
        assert not lost_words(await daemon.dictate(sound, TWO), TWO)


async def test_an_unknown_or_ambiguous_name_is_refused_with_what_there_is(sound: SoundServer) -> None:
    async with dictating(sound) as daemon:
        for name, said in (
            ("Snowball", "There is no microphone “Snowball”. Available: “Blue"),
            ("mic", "matches several"),
        ):
            with pytest.raises(BusError, match=said) as refusal:
                await daemon.client.call("SelectDevice", "s", name, interface=MICROPHONE)
            assert refusal.value.name == "org.coldvox.Error.InvalidOption"
        assert await daemon.get("Device") == "Blue Yeti"


async def test_a_microphone_of_the_settings_that_is_not_there_is_waited_for(sound: SoundServer) -> None:
    sound.unplug(2)
    async with dictating(sound, device="Built-in") as daemon:
        await daemon.state("unavailable")
        assert "no microphone “Built-in”. Available: “Blue Yeti”" in await daemon.get("Problem")
        with pytest.raises(BusError, match="Available: “Blue Yeti”") as refusal:
            await daemon.client.call("StartDictation")
        assert refusal.value.name == "org.coldvox.Error.NoMicrophone"
        await asyncio.to_thread(sound.plug, 2)
        await daemon.state("idle")
        assert not lost_words(await daemon.dictate(sound, ONE, "speaker2"), ONE)


async def test_on_demand_the_microphone_is_open_during_sessions_alone(sound: SoundServer) -> None:
    async with dictating(sound, policy="on-demand") as daemon:
        assert (await daemon.get("Open"), await daemon.get("Policy")) == (False, "on-demand")
        assert await daemon.get("State", DICTATION) == "idle"
        assert sound.streams() == {}
        for sample in (ONE, TWO):
            assert not lost_words(await daemon.dictate(sound, sample), sample)
            await daemon.until("Open", False)
            assert sound.streams() == {}
            assert await daemon.get("State", DICTATION) == "idle"


async def test_on_demand_a_session_that_follows_another_at_once_finds_the_microphone(
    pulse: SoundServer, tmp_path: Path
) -> None:
    """The microphone is about to be closed when the second session starts.

    For a microphone that was just opened, the server has already rendered some tenths of a second of silence, which
    replace the beginning of the played audio; so one second of silence precedes the words.
    """
    later = tmp_path / "later.wav"
    soundfile.write(later, np.concatenate([np.zeros(SAMPLE_RATE, np.float32), ONE.wave()]), SAMPLE_RATE)
    async with dictating(pulse, policy="on-demand") as daemon:
        await daemon.client.call("StartDictation")
        for _ in range(5):
            await daemon.until("Open", True)
            await daemon.client.call("CancelDictation")
            await daemon.client.call("StartDictation")
        await daemon.until("Degraded", "", ENGINE)
        await daemon.until("Open", True)
        await asyncio.to_thread(pulse.play, later)
        assert not lost_words(await daemon.client.call("StopDictation"), ONE)


async def test_on_demand_a_microphone_that_can_not_be_opened_ends_the_session(sound: SoundServer) -> None:
    async with dictating(sound, policy="on-demand") as daemon:
        sound.freeze()
        async with daemon.client.expect_signal("DictationStopped") as stopped:
            await daemon.client.call("StartDictation")
            await daemon.until("Degraded", "microphone-lost", ENGINE)
            assert await daemon.get("State", DICTATION) == "listening"
        assert stopped.body[1:] == ["microphone-lost", ""]
        sound.thaw()
        await daemon.state("idle")
        assert not lost_words(await daemon.dictate(sound, ONE), ONE)


async def test_idle_release_keeps_it_open_for_a_while_after_a_session(sound: SoundServer) -> None:
    async with dictating(sound, policy="idle-release", idle_release_s="2") as daemon:
        assert await daemon.get("Open") is False
        assert not lost_words(await daemon.dictate(sound, ONE), ONE)
        ended_s = time.monotonic()
        assert await daemon.get("Open") is True
        closed_s = await daemon.change("Open", lambda is_open: not is_open, after_s=ended_s)
        assert closed_s - ended_s > 1.5


async def test_a_bluetooth_microphone_is_spared_unless_told_otherwise(sound: SoundServer) -> None:
    sound.unplug(2)
    sound.plug(2, "device.bus=bluetooth")
    async with dictating(sound, device="Built-in") as daemon:
        assert (await daemon.get("Open"), await daemon.get("Policy")) == (False, "on-demand")
        assert not lost_words(await daemon.dictate(sound, ONE, "speaker2"), ONE)
        await daemon.until("Open", False)
        await daemon.client.call("SelectDevice", "s", "Yeti", interface=MICROPHONE)
        await daemon.until("Open", True)
        assert await daemon.get("Policy") == "always"
        await daemon.client.call("SelectDevice", "s", "Built-in", interface=MICROPHONE)
        await daemon.until("Open", False)
    async with dictating(sound, device="Built-in", bluetooth_always="true") as daemon:
        await daemon.until("Open", True)
        assert await daemon.get("Policy") == "always"


async def test_a_headset_that_becomes_the_default_is_let_go(sound: SoundServer) -> None:
    async with dictating(sound) as daemon:
        await daemon.until("Open", True)
        await asyncio.to_thread(sound.unplug, 2)
        await asyncio.to_thread(sound.plug, 2, "device.bus=bluetooth")
        await asyncio.to_thread(sound.set_default_source, "mic2")
        await daemon.until("Open", False)
        assert await daemon.get("Device") == "Built-in Audio"
        await asyncio.to_thread(sound.set_default_source, "mic1")
        await daemon.until("Open", True)


@pytest.mark.parametrize("desktop", ["org.gnome.ScreenSaver", "org.freedesktop.ScreenSaver"])
async def test_the_microphone_is_closed_while_the_screen_is_locked(pulse: SoundServer, desktop: str) -> None:
    with PrivateBus() as bus:
        async with screen_saver(bus.address, desktop) as saver, dictating(pulse, bus, release_on_lock="true") as daemon:
            await daemon.until("Open", True)
            await daemon.client.call("StartDictation")
            await asyncio.to_thread(pulse.play, ONE.path)
            async with daemon.client.expect_signal("DictationStopped") as stopped:
                saver.lock()
            assert stopped.body[1] == "screen-locked"
            assert not lost_words(stopped.body[2], ONE)
            await daemon.until("Open", False)
            with pytest.raises(BusError, match="while the screen is locked"):
                await daemon.client.call("StartDictation")
            saver.unlock()
            await daemon.until("Open", True)
            await daemon.state("idle")
            assert not lost_words(await daemon.dictate(pulse, TWO), TWO)


async def test_a_screen_that_was_locked_before_keeps_it_closed_and_without_the_setting_nothing_does(
    pulse: SoundServer,
) -> None:
    with PrivateBus() as bus:
        async with screen_saver(bus.address, active=True):
            async with dictating(pulse, bus, release_on_lock="true") as daemon:
                await daemon.state("unavailable")
                assert await daemon.get("Open") is False
            async with dictating(pulse, bus) as daemon:
                await daemon.until("Open", True)


async def test_a_muted_microphone_is_told_when_a_session_begins_and_when_it_changes(sound: SoundServer) -> None:
    sound.mute()
    async with dictating(sound) as daemon:
        await daemon.until("Muted", True)
        assert await daemon.get("Degraded", ENGINE) == "microphone-muted"
        begun_s = time.monotonic()
        await daemon.client.call("StartDictation")
        await daemon.change("Degraded", lambda code: code == "microphone-muted", after_s=begun_s)
        await asyncio.to_thread(lambda: sound.mute(muted=False))
        await daemon.until("Degraded", "", ENGINE)
        await asyncio.to_thread(sound.play, ONE.path)
        assert not lost_words(await daemon.client.call("StopDictation"), ONE)
        assert re.search(r"WARNING the microphone “Blue Yeti” is muted", daemon.log)


async def test_speech_into_a_muted_microphone_is_answered_with_the_reason(pulse: SoundServer) -> None:
    with PrivateBus() as bus:
        async with NotificationService(bus.address) as desktop, dictating(pulse, bus) as daemon:
            await asyncio.to_thread(pulse.mute)
            await daemon.until("Muted", True)
            await daemon.client.call("StartDictation")
            await asyncio.to_thread(pulse.play, ONE.path)
            command = [sys.executable, "-m", "coldvoxd.cli.main", "stop"]
            stopped = await asyncio.create_subprocess_exec(
                *command, env=bus.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            out, err = (printed.decode() for printed in await stopped.communicate())
            assert (stopped.returncode, out) == (0, "")
            assert err == f"coldvoxctl: Nothing was heard. {MUTED}\n"
            assert [body[3] for body in desktop.shown] == [NOTHING_HEARD.title]


async def test_nothing_that_was_said_before_the_microphone_was_closed_comes_into_a_session(pulse: SoundServer) -> None:
    async with dictating(pulse, policy="idle-release", idle_release_s="1") as daemon:
        assert not lost_words(await daemon.dictate(pulse, ONE), ONE)
        await asyncio.to_thread(pulse.play, TWO.path)  # into the open microphone, without a session
        await daemon.until("Open", False)
        assert await daemon.dictate(pulse, ONE) == ONE.heard["fp32"]
