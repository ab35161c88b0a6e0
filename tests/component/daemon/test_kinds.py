"""The whole daemon with each kind of Parakeet, made of the bundled one: a session with word times, and a file."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coldvoxd.bus.interface_xml import ENGINE
from coldvoxd.bus.library import Variant
from coldvoxd.core.edit_distance import edit_distance
from tests.support.bus.private_bus import PrivateBus
from tests.support.daemon.process import daemon
from tests.support.models.family import write_ctc, write_rnnt, write_sherpa, write_tdt
from tests.support.sound.speech import samples

SPOKEN = samples()[3]
MODELS: dict[str, Callable[[Path], Path]] = {
    "RNN-T": write_rnnt,
    "CTC": write_ctc,
    "TDT for sherpa-onnx": lambda directory: write_sherpa(directory, write_tdt(directory.with_name("whole"))),
}


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with PrivateBus() as bus:
        yield bus


@pytest.mark.heavy
@pytest.mark.parametrize("kind", MODELS)
async def test_it_is_dictated_with(kind: str, bus: PrivateBus, tmp_path: Path) -> None:
    model = MODELS[kind](tmp_path / "model")
    settings = (
        f'[microphone]\ndevice = "virtual:{bus.directory / "mic"}"\n[model]\nname = "{model}"\nprovider = "cpu"\n'
        '[dictation]\nseam = "state"\n'
    )
    async with daemon(bus, tmp_path, settings) as running, running.client() as client:
        await client.subscribe()
        capabilities = set(await client.get(ENGINE, "Capabilities"))
        assert {"partials", "seams", "words"} <= capabilities
        assert ("alternatives" in capabilities) == (kind != "CTC")
        options = {"words": Variant("b", True), "partials": Variant("b", True)}
        async with client.expect_signal("Transcribed") as found:
            await client.call("StartDictationWithOptions", "a{sv}", options)
            await running.speak(SPOKEN)
        _, _, text, details = found.body
        assert_said(text)
        assert len(details["words"].value) == len(text.split())
        assert await client.call("StopDictation") == text
        descriptor = os.open(SPOKEN.path, os.O_RDONLY)
        async with client.expect_signal("FileTranscribed") as transcribed:
            await client.call("TranscribeFile", "ha{sv}", 0, {}, descriptors=[descriptor])
        os.close(descriptor)
        assert_said(transcribed.body[1])


def assert_said(text: str) -> None:
    """At most one word differs: the fitted models hear a recording with other silence around it a little worse."""
    assert edit_distance(SPOKEN.said.split(), text.split()) <= 1, text
