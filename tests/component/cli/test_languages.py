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
    return await (await ctl(*arguments, environment=environment)).ended()


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


async def test_a_language_that_the_model_lacks_is_refused_with_what_is_possible(
    running: RunningService, ctl: Ctl
) -> None:
    running.control.engine = SEVERAL
    for command in (("start",), ("toggle",), ("retry",), ("listen", "--start"), ("transcribe", FILE)):
        result = await run(ctl, *command, "--language", "fr")
        assert (result.exit, result.out) == (Exit.FAILED if command[0] == "transcribe" else Exit.NOT_SUPPORTED, "")
        assert "Possible are: auto, de, en." in result.err
    assert running.control.started == []
    empty = await run(ctl, "start", "--language", " ")
    assert empty.exit == Exit.USAGE
    alone = await run(ctl, "listen", "--language", "de")
    assert (alone.exit, "--language require --start" in alone.err) == (Exit.USAGE, True)


async def test_status_lists_the_languages_and_says_when_the_setting_is_ignored(
    running: RunningService, ctl: Ctl
) -> None:
    running.control.engine = SEVERAL
    shown = await run(ctl, "status")
    assert "languages   de, en\n" in shown.out
    [status] = (await run(ctl, "status", "--json")).objects
    assert status["languages"] == ["de", "en"]
    assert "language" in status["capabilities"]
    running.control.engine = replace(SEVERAL, degraded=Problem.LANGUAGE)
    shown = await run(ctl, "status")
    assert "degraded: language" in shown.out
    assert "recognizes as with `auto`" in shown.out


@pytest.fixture
def multilingual(tmp_path: Path) -> str:
    return str(write_multilingual_parakeet(tmp_path / "multilingual"))


async def test_local_recognition_in_a_language(bus: PrivateBus, ctl: Ctl, multilingual: str) -> None:
    local = ("transcribe", "--local", "--model", multilingual)
    for language in ("de", "en", "ru"):
        assert await run(ctl, *local, "--language", language, FILE) == Result(0, f"{TEXTS[language]}\n", "")
    assert (await run(ctl, *local, FILE)).out == f"{TEXTS['auto']}\n"
    set_to_german = bus.environment | {"COLDVOXD_DICTATION_LANGUAGE": "de"}
    assert (await run(ctl, *local, FILE, environment=set_to_german)).out == f"{TEXTS['de']}\n"
    by_script = set_to_german | {"COLDVOXD_MODEL_LANGUAGE_MEANS": "script"}
    assert (await run(ctl, *local, FILE, environment=by_script)).out == "Peace hello.\n"


async def test_local_recognition_says_which_languages_are_possible(
    bus: PrivateBus, ctl: Ctl, multilingual: str
) -> None:
    refused = await run(ctl, "transcribe", "--local", "--model", multilingual, "--language", "fr", FILE)
    assert (refused.exit, refused.out) == (Exit.NOT_SUPPORTED, "")
    assert "multilingual does not recognize the language 'fr'. Possible are: auto, de, en, ja, ru." in refused.err
    mini = ("transcribe", "--local", "--model", "mini", FILE)
    refused = await run(ctl, *mini, "--language", "de")
    assert (refused.exit, refused.out) == (Exit.NOT_SUPPORTED, "")
    assert "The model mini recognizes 'en' only" in refused.err
    assert "parakeet-tdt-0.6b-v3 recognizes bg, cs" in refused.err
    english = await run(ctl, *mini, "--language", "en")
    assert english == Result(0, f"{samples()[0].heard['fp32']}\n", "")
    set_to_german = bus.environment | {"COLDVOXD_DICTATION_LANGUAGE": "de"}
    ignored = await run(ctl, *mini, environment=set_to_german)
    assert (ignored.exit, ignored.out) == (Exit.DONE, english.out)
    assert "recognizes as with `auto`" in ignored.err


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
