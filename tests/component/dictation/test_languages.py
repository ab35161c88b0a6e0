"""The language of a session: it reaches each of its utterances, and outlives the process."""

from pathlib import Path

from coldvoxd.core.fallback import RunningEngine
from coldvoxd.core.problems import Problem
from coldvoxd.core.settings import DictationSettings
from coldvoxd.core.values import EngineStatus
from tests.support.dictation_scene import CountingEngine, Scene, playing
from tests.support.eventually import eventually
from tests.support.spool_lives import CALLER, Life, life

SEVERAL = EngineStatus(
    model="multilingual", ready=True, running=RunningEngine(features_size=128), languages=("de", "en")
)
ENGLISH = EngineStatus(model="mini", ready=True, running=RunningEngine(features_size=128), languages=("en",))


def scene(setting: str = "auto", status: EngineStatus = SEVERAL) -> Scene:
    settings = DictationSettings(stop_tail_ms=96, language=setting)
    return Scene(settings=settings, engine=CountingEngine(status=status))


async def languages_of_a_session(scene: Scene, **options: str) -> tuple[str, set[str]]:
    """Return the language that the session's options show, and those of its utterances, early runs included."""
    session = scene.start(**options)  # type: ignore[arg-type]
    shown = scene.pipeline.options_of(":1.1", session).language
    for value in (2000, 3000):
        scene.hear(value, 10)
        scene.hush()
    await scene.stop()
    heard = {utterance.language for utterance in scene.engine.heard}
    assert len(scene.engine.heard) >= 2
    return shown, heard


async def test_the_option_comes_before_the_setting_and_reaches_every_utterance() -> None:
    for setting, options, expected in (
        ("auto", {}, "auto"),
        ("en", {}, "en"),
        ("en", {"language": "de"}, "de"),
        ("en", {"language": "auto"}, "auto"),
    ):
        async with playing(scene(setting)) as stage:
            assert await languages_of_a_session(stage, **options) == (expected, {expected})


async def test_a_setting_that_the_model_lacks_is_a_problem_and_dictation_works_without_it() -> None:
    async with playing(scene("de", ENGLISH)) as stage:
        assert [*stage.pipeline.problems] == [Problem.LANGUAGE]
        assert await languages_of_a_session(stage) == ("auto", {"auto"})
        stage.engine.status = SEVERAL
        assert [*stage.pipeline.problems] == []
        assert (await languages_of_a_session(stage))[0] == "de"


async def test_a_retry_is_in_the_language_of_the_session_or_in_another() -> None:
    async with playing(scene()) as stage:
        await languages_of_a_session(stage, language="de")
        for language, expected in (("", "de"), ("en", "en"), ("auto", "auto"), ("", "de")):
            assert await stage.last.retry_last(":1.1", language=language) == "3000"
            assert stage.engine.heard[-1].language == expected


async def test_the_language_of_the_last_utterance_is_handed_to_the_next_process() -> None:
    async with playing(scene()) as stage, playing(scene()) as later:
        await languages_of_a_session(stage, language="de")
        carried = stage.last.carried()
        assert carried is not None
        later.last.resume(carried)
        await later.last.retry_last(":1.1")
        assert later.engine.heard[-1].language == "de"


async def test_after_a_crash_the_same_language_is_used(tmp_path: Path) -> None:
    """Also if the settings have another one meanwhile, and for a retry of the last utterance."""
    async with life(tmp_path) as first:
        first.scene.start(CALLER, language="de")  # type: ignore[arg-type]
        first.scene.hear(2000, 10)
        first.scene.hush()
        await eventually(first.scene.saw("text"))
        first.scene.engine.gate.clear()
        first.scene.hear(3000, 10)
        first.scene.hush()
        first.scene.hear(4000, 10)
    second = Life(tmp_path)
    await second.recover()
    assert [(utterance.language, text) for utterance, (_, _, text) in zip(
        second.engine.heard, (seen for seen in second.announced.seen if seen[0] == "text"), strict=True
    )] == [("de", "3000"), ("de", "4000")]  # fmt: skip
    await second.scene.last.retry_last(CALLER)
    assert second.scene.engine.heard[-1].language == "de"
