"""coldvoxctl with --language: through the daemon, in its own process, and what status and doctor say about languages."""

from dataclasses import replace
from pathlib import Path

import pytest

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.core.problems import Problem
from coldvoxd.core.values import EngineStatus, SessionOptions
from coldvoxd.doctor.finding import Finding, Verdict
from coldvoxd.doctor.storage import check
from tests.component.cli.conftest import Ctl, Result
from tests.support.bus.private_bus import PrivateBus, RunningService
from tests.support.environment import environment
from tests.support.models.multilingual import TEXTS, write_multilingual_parakeet
from tests.support.sound.speech import samples

SEVERAL = EngineStatus(
    "multilingual", "fp32", "CPUExecutionProvider", ("cpu",), ("cpu",), ready=True, languages=("de", "en")
)
FILE = str(samples()[0].path)


async def run(ctl: Ctl, *arguments: str, environment: dict[str, str] | None = None) -> Result:
    return await (await ctl(*arguments, environment=environment)).ended(120)


async def test_sessions_and_retries_name_a_language(running: RunningService, ctl: Ctl) -> None:
    control = running.control
    control.engine = SEVERAL
    assert (await run(ctl, "start", "--language", "de-AT")).exit == Exit.DONE
    assert control.options == SessionOptions(language="de")
    control.say("eins")
    assert await run(ctl, "retry", "--language", "auto", "--utterance", "1") == Result(0, "eins\n", "")
    assert control.retried_in == "auto"
    assert (await run(ctl, "stop")).exit == Exit.DONE
    assert (await run(ctl, "toggle", "--language", "EN", "--words")).exit == Exit.DONE
    assert control.options == SessionOptions(language="en", words=True)


@pytest.mark.parametrize(
    "command",
    [("start",), ("toggle",), ("retry",), ("listen", "--start"), ("transcribe", FILE)],
    ids=["start", "toggle", "retry", "listen", "transcribe"],
)
async def test_a_language_that_the_model_lacks_is_refused_with_what_is_possible(
    running: RunningService, ctl: Ctl, command: tuple[str, ...]
) -> None:
    running.control.engine = SEVERAL
    result = await run(ctl, *command, "--language", "fr")
    assert (result.exit, result.out) == (Exit.NOT_SUPPORTED, "")
    assert "Possible are: auto, de, en." in result.err
    assert (running.control.started, running.control.files) == ([], {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("start", "--language", " "), "is empty"), (("listen", "--language", "de"), "--language require --start")],
)
async def test_a_language_without_a_meaning_is_a_usage_error(
    running: RunningService, ctl: Ctl, arguments: tuple[str, ...], message: str
) -> None:
    result = await run(ctl, *arguments)
    assert (result.exit, message in result.err) == (Exit.USAGE, True)
    assert running.control.started == []


async def test_status_lists_the_languages_and_says_when_the_setting_is_ignored(
    running: RunningService, ctl: Ctl
) -> None:
    running.control.engine = SEVERAL
    shown = await run(ctl, "status")
    assert "languages   de, en\nlanguage    auto\n" in shown.out
    [status] = (await run(ctl, "status", "--json")).objects
    assert status["languages"] == ["de", "en"]
    assert (status["language"], status["session_language"]) == ("auto", "")
    assert "language" in status["capabilities"]
    running.control.language = "de"
    await run(ctl, "start", "--language", "en")
    assert "language    de; en in this session\n" in (await run(ctl, "status")).out
    [status] = (await run(ctl, "status", "--json")).objects
    assert (status["language"], status["session_language"]) == ("de", "en")
    running.control.engine = replace(SEVERAL, degraded=Problem.LANGUAGE)
    shown = await run(ctl, "status")
    assert "degraded: language" in shown.out
    assert "recognizes as with `auto`" in shown.out


@pytest.fixture
def multilingual(tmp_path: Path) -> str:
    return str(write_multilingual_parakeet(tmp_path / "multilingual"))


@pytest.mark.parametrize(
    ("arguments", "settings", "text"),
    [
        ((), {}, TEXTS["auto"]),
        (("--language", "ru"), {}, TEXTS["ru"]),
        ((), {"DICTATION_LANGUAGE": "de"}, TEXTS["de"]),
        (("--language", "en"), {"DICTATION_LANGUAGE": "de"}, TEXTS["en"]),
        (("--language", "auto"), {"DICTATION_LANGUAGE": "de"}, TEXTS["auto"]),
        (("--language", "de"), {"MODEL_LANGUAGE_MEANS": "script"}, "Peace hello."),
    ],
)
@pytest.mark.heavy
async def test_local_recognition_in_a_language(
    bus: PrivateBus, ctl: Ctl, multilingual: str, arguments: tuple[str, ...], settings: dict[str, str], text: str
) -> None:
    """The option comes before the setting."""
    variables = {f"COLDVOXD_{key}": value for key, value in settings.items()}
    command = ("transcribe", "--local", "--model", multilingual, *arguments, FILE)
    assert await run(ctl, *command, environment=bus.environment | variables) == Result(0, f"{text}\n", "")


@pytest.mark.parametrize(
    ("is_multilingual", "language", "messages"),
    [
        (True, "fr", ["multilingual does not recognize the language 'fr'. Possible are: auto, de, en, ja, ru."]),
        (False, "de", ["The model mini recognizes 'en' only", "parakeet-tdt-0.6b-v3 recognizes bg, cs"]),
    ],
)
@pytest.mark.heavy
async def test_local_recognition_says_which_languages_are_possible(
    ctl: Ctl, multilingual: str, is_multilingual: bool, language: str, messages: list[str]
) -> None:
    model = multilingual if is_multilingual else "mini"
    refused = await run(ctl, "transcribe", "--local", "--model", model, "--language", language, FILE)
    assert (refused.exit, refused.out) == (Exit.NOT_SUPPORTED, "")
    assert all(message in refused.err for message in messages), refused.err


@pytest.mark.parametrize(("language", "is_ignored"), [("en", False), ("de", True)])
@pytest.mark.heavy
async def test_a_setting_that_the_local_model_lacks_is_ignored_with_a_warning(
    bus: PrivateBus, ctl: Ctl, language: str, is_ignored: bool
) -> None:
    settings = bus.environment | {"COLDVOXD_DICTATION_LANGUAGE": language}
    result = await run(ctl, "transcribe", "--local", "--model", "mini", FILE, environment=settings)
    assert (result.exit, result.out) == (Exit.DONE, f"{samples()[0].heard['fp32']}\n")
    assert ("recognizes as with `auto`" in result.err) is is_ignored


def found(model: str, language: str) -> list[Finding]:
    with environment({"COLDVOXD_MODEL_NAME": model, "COLDVOXD_DICTATION_LANGUAGE": language}):
        return [finding for finding in check() if isinstance(finding, Finding) and finding.part == "language"]


def test_doctor_compares_the_setting_with_the_model(multilingual: str) -> None:
    assert found(multilingual, "auto") == []
    [right] = found(multilingual, "de")
    assert right.verdict is Verdict.OK
    for model, possible in ((multilingual, "auto, de, en, ja, ru"), ("mini", "recognizes 'en' only")):
        [wrong] = found(model, "fr")
        assert wrong.verdict is Verdict.WARN
        assert possible in wrong.text
        assert wrong.remedy == "coldvoxctl config set dictation.language auto"
