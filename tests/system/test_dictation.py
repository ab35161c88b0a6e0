"""Dictation as a user does it: systemctl, busctl, coldvoxctl, and a voice in the microphone of a real sound server."""

import json

from tests.support.login.login import UNIT, Login, Output, samples
from tests.support.login.user_manager import DICTATION, NAME, OBJECT

OPEN, CLOSE, HELLO = samples()[:3]


def test_what_is_said_comes_as_a_signal_and_stop_returns_it(dictation: Login) -> None:
    """Uses only the README's busctl lines."""
    with dictation.running("busctl", "--user", "--json=short", "monitor", NAME) as monitor:
        output = Output(monitor)
        while "Monitoring" not in output.line():
            pass
        session = dictation.answer("StartDictation")
        dictation.speak(OPEN)
        dictation.speak(CLOSE)
        transcript = dictation.answer("StopDictation")
        texts = []
        while (message := json.loads(output.line())).get("member") != "DictationStopped":
            if message.get("member") == "Transcribed":
                texts.append(message["payload"]["data"])
    assert OPEN.is_in(transcript)
    assert CLOSE.is_in(transcript)
    assert OPEN.is_in(" ".join(text for _, _, text, _ in texts))
    assert {number for number, *_ in texts} == {session}
    details = texts[0][3]
    assert details["provider"]["data"] == "CPUExecutionProvider"
    assert 0 < details["confidence"]["data"] <= 1
    assert dictation.state() == "idle"


def test_the_first_call_starts_the_service(dictation: Login) -> None:
    dictation.systemctl("stop", UNIT)
    assert dictation.state() == "gone"
    dictation.run("busctl", "--user", "get-property", NAME, OBJECT, DICTATION, "State")
    assert dictation.show(UNIT, "ActiveState") in {"active", "activating"}
    dictation.wait_for_state("idle")


def test_a_dictation_asked_for_by_the_first_call_loses_nothing(dictation: Login) -> None:
    """The model is still loading; speech in the meantime waits for it."""
    dictation.systemctl("stop", UNIT)
    dictation.answer("StartDictation")
    dictation.speak(HELLO)
    assert HELLO.is_in(dictation.answer("StopDictation"))


def test_a_bound_session_ends_when_its_caller_dies(dictation: Login) -> None:
    with dictation.listening() as witness, dictation.listening("--start") as caller:
        session = caller.events[0]["session"]
        assert witness.wait_for("started")["session"] == session
        assert dictation.state() == "listening"
        dictation.run("pkill", "-KILL", "-f", "json listen --start")
        stopped = witness.wait_for("stopped")
        assert (stopped["session"], stopped["reason"]) == (session, "caller-left")
    assert dictation.state() == "idle"


def test_a_private_session_can_be_stopped_and_read_by_its_owner_alone(dictation: Login) -> None:
    with dictation.listening() as stranger, dictation.listening("--start", "--private") as owner:
        session = owner.events[0]["session"]
        for method in ("StopDictation", "CancelDictation", "ToggleDictation"):
            refused = dictation.call(method, check=False)
            assert refused.returncode != 0
            assert "private" in refused.stderr or "NotOwner" in refused.stderr
        dictation.speak(OPEN)
        assert all(text["session"] == session for text in owner.wait_for_text(OPEN))
        dictation.end(owner.process)
        stopped = stranger.wait_for("stopped")
    assert stopped["transcript"] == ""
    assert not [event for event in stranger.events if event["event"] == "transcribed"]
    assert not OPEN.is_in(json.dumps(stranger.events))


def test_spoken_text_is_in_no_journal(dictation: Login) -> None:
    dictation.answer("StartDictation")
    dictation.speak(HELLO)
    assert HELLO.is_in(dictation.answer("StopDictation"))
    assert not HELLO.is_in(dictation.journal())


def test_dictation_with_pipewire_as_the_sound_server(pipewire_place: Login) -> None:
    """Uses PipeWire's own user units, as packaged."""
    pipewire_place.start()
    pipewire_place.answer("StartDictation")
    pipewire_place.speak(OPEN)
    assert OPEN.is_in(pipewire_place.answer("StopDictation"))
    pipewire_place.systemctl("restart", "pipewire.service", "wireplumber.service", "pipewire-pulse.service")
    pipewire_place.wait_for_state("unavailable", "idle")
    assert pipewire_place.restarts == 0
