"""How GNOME and Plasma present the daemon to the user."""

import json
import re
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from coldvoxd import __version__
from coldvoxd.models.published_models import PUBLISHED
from tests.support.bus.private_bus import PrivateBus
from tests.support.desktop.gjs import EXTENSION, ROOT, SCRIPTS, needs_gjs, presented

PRESENTATION = ROOT / "contrib/desktop/presentation.js"
WIDGET = ROOT / "contrib/desktop/plasma/org.coldvox.dictation"
MESSAGE = re.compile(r"""\b(?:(?:_|N_|this\._)\('([^']*)'\)|i18n\("([^"]*)"\))""")
DOCTOR = "Run \N{LEFT DOUBLE QUOTATION MARK}coldvoxctl doctor\N{RIGHT DOUBLE QUOTATION MARK} in a terminal: it reports how to fix this."
ENTRY = re.compile(r'^msgid "(.+)"\nmsgstr "(.*)"$', re.MULTILINE)
SLEEPING = "The machine was suspended; using the CPU until the GPU is ready."
REASONS = re.compile(r"`([a-z-]+)`")


@needs_gjs
def test_each_state_has_its_picture_its_words_and_what_a_click_does() -> None:
    here: dict[str, object] = {"present": True}
    cases: list[tuple[dict[str, object], tuple[str, str, str, str]]] = [
        ({}, ("gone", "off", "Dictation is off", "Start dictating")),
        (here, ("loading", "waiting", "Starting…", "")),
        (here | {"State": "loading"}, ("loading", "waiting", "Loading the speech model…", "Start dictating")),
        (here | {"State": "idle"}, ("idle", "ready", "Ready to listen", "Start dictating")),
        (here | {"State": "listening"}, ("listening", "listening", "Listening…", "Stop dictating")),
        (here | {"State": "transcribing"}, ("transcribing", "writing", "Recognizing…", "")),
        (here | {"State": "suspended"}, ("unavailable", "off", "Suspended", "")),
        (here | {"State": "unavailable"}, ("unavailable", "off", "Dictation is unavailable", "")),
        (here | {"State": "humming"}, ("unknown", "ready", "humming", "Start dictating")),
    ]
    found = presented([facts for facts, _ in cases])
    assert [(shown["kind"], shown["icon"], shown["title"], shown["action"]) for shown in found] == [
        wanted for _, wanted in cases
    ]


@needs_gjs
def test_why_nothing_can_be_heard_or_recognized_is_said_in_words() -> None:
    def unavailable(degraded: str, **more: object) -> dict[str, object]:
        return {"present": True, "State": "unavailable", "Degraded": degraded} | more

    found = presented(
        [
            unavailable("model-missing", LastError="There is no model."),
            unavailable("model-missing"),
            unavailable("model-missing", Progress=0.425),
            unavailable("microphone-lost", Problem="Nothing is plugged in.", LastError="old"),
            unavailable("microphone-lost"),
            unavailable("model-missing", LastError="no model; looked in\n  here\n  there"),
            unavailable("microphone-lost", Problem="it is gone"),
        ]
    )
    assert [(shown["kind"], shown["title"], shown["detail"], shown["progress"]) for shown in found] == [
        ("unavailable", "No speech model", "There is no model.", -1),
        ("unavailable", "No speech model", "The speech model is missing.", -1),
        ("fetching", "Downloading the speech model…", "42 % downloaded.", 0.425),
        ("unavailable", "No microphone", "Nothing is plugged in.", -1),
        ("unavailable", "No microphone", "There is no microphone.", -1),
        ("unavailable", "No speech model", f"The speech model is missing. {DOCTOR}", -1),
        ("unavailable", "No microphone", "It is gone", -1),
    ]
    assert [shown["degraded"] for shown in found] == [True, True, False, True, True, True, True]


@needs_gjs
def test_a_muted_microphone_is_told_before_and_while_one_dictates() -> None:
    muted = {"present": True, "Degraded": "microphone-muted"}
    idle, listening = presented([muted | {"State": "idle"}, muted | {"State": "listening"}])
    assert (idle["title"], idle["degraded"]) == ("Microphone muted", True)
    assert (listening["title"], listening["detail"]) == ("Listening…", "The microphone is muted.")
    assert [idle["icon"], listening["icon"]] == ["muted", "muted"]


@needs_gjs
def test_who_waits_sees_in_words_for_what_and_how_far_it_is() -> None:
    loading: dict[str, object] = {"present": True, "State": "loading"}
    fetching: dict[str, object] = {"present": True, "State": "unavailable", "Degraded": "model-missing"}
    cases: list[tuple[dict[str, object], str, str]] = [
        (loading, "Loading…", ""),
        (loading | {"Progress": 0.999}, "Loading 99 %", "99 % loaded."),
        (loading | {"Progress": 0.5, "Degraded": "sleep"}, "Loading 50 %", SLEEPING),
        (fetching | {"Progress": 0.0}, "Downloading 0 %", "0 % downloaded."),
        (fetching, "", "The speech model is missing."),
        ({"present": True, "State": "idle", "Progress": 0.5}, "", ""),
        ({"present": True}, "", ""),
        ({}, "", "The service coldvoxd is not running."),
    ]
    found = presented([facts for facts, _, _ in cases])
    assert [(shown["label"], shown["detail"]) for shown in found] == [(label, detail) for _, label, detail in cases]


@needs_gjs
def test_the_providers_that_were_found_usable_are_offered_and_the_one_in_use_is_among_them() -> None:
    built = {"present": True, "AvailableProviders": ["tensorrt", "cuda", "cpu"]}
    on_cpu = built | {"ExecutionProvider": "CPUExecutionProvider", "Provider": "cpu"}
    found = presented(
        [
            on_cpu | {"UsableProviders": ["cuda", "cpu"]},
            on_cpu | {"UsableProviders": ["cuda"]},
            built | {"UsableProviders": ["cpu"], "ExecutionProvider": "CPUExecutionProvider"},
            built,
            {},
        ]
    )
    assert [(shown["providers"], shown["provider"]) for shown in found] == [
        (["cuda", "cpu"], "cpu"),
        (["cpu", "cuda"], "cpu"),
        (["cpu"], "cpu"),
        ([], ""),
        ([], ""),
    ]


@needs_gjs
def test_the_languages_of_every_published_model_are_named() -> None:
    names = [*PUBLISHED, "mini"]
    *known, unknown = presented([{"Model": name} for name in [*names, "my-own-v3"]])
    assert {name: shown["languages"] for name, shown in zip(names, known, strict=True)} == {
        "mini": "English",
        "parakeet-tdt-0.6b-v2": "English",
        "parakeet-tdt-0.6b-v2-sherpa": "English",
        "parakeet-tdt-0.6b-v3": "25 European languages, detected automatically",
        "parakeet-tdt-0.6b-v3-sherpa": "25 European languages, detected automatically",
    }
    assert unknown["languages"] == ""


@needs_gjs
def test_typing_without_systemd_is_unknown() -> None:
    with PrivateBus() as bus:
        done = subprocess.run(
            ["gjs", SCRIPTS / "typing.js", EXTENSION], env=bus.environment, capture_output=True, text=True, check=True
        )
    assert (done.stdout, done.stderr) == ("Unknown: systemd does not respond.\n", "")


@needs_gjs
def test_every_reason_of_the_contract_has_words_and_an_unknown_one_is_shown_as_it_is() -> None:
    prose = (ROOT / "dbus/reference.md").read_text("utf-8")
    paragraph = prose.split("### property Problems")[1].split("###")[0]
    codes = [code for code in REASONS.findall(paragraph) if "-" in code]
    assert len(codes) >= 12
    *known, unknown = presented([{"present": True, "State": "idle", "Degraded": code} for code in [*codes, "new-one"]])
    for code, shown in zip(codes, known, strict=True):
        assert shown["degraded"] is True
        assert "There is a problem" not in shown["detail"], code
    assert unknown["detail"] == "There is a problem (new-one)."


@needs_gjs
def test_the_engine_is_told_in_a_line_and_the_level_fills_the_meter() -> None:
    engine = {"Model": "mini", "Precision": "int8", "ExecutionProvider": "CPUExecutionProvider"}
    strange = engine | {"ExecutionProvider": "OddExecutionProvider", "Precision": ""}
    found = presented([engine | {"level": -12}, strange | {"level": -36}, {"level": -60}])
    assert [shown["engine"] for shown in found] == ["mini · int8 · CPU", "mini · odd", ""]
    assert [shown["meter"] for shown in found] == [1, 0.5, 0]


def test_gnome_and_plasma_share_the_presentation_and_have_it_in_what_they_install(tmp_path: Path) -> None:
    """It must be a file: a link would be broken once installed."""
    pack = ROOT / "contrib/desktop/plasma/install.sh"
    subprocess.run([pack, "--pack", tmp_path], check=True, capture_output=True)
    with zipfile.ZipFile(tmp_path / "org.coldvox.dictation.plasmoid") as archive:
        assert archive.read("contents/ui/presentation.mjs") == PRESENTATION.read_bytes()
    assert (EXTENSION / "presentation.js").resolve() == PRESENTATION


@pytest.mark.parametrize("language", ["de"])
@pytest.mark.parametrize(
    ("sources", "catalogs"),
    [
        (EXTENSION.glob("*.js"), EXTENSION / "po"),
        ((file for kind in ("qml", "mjs") for file in WIDGET.glob(f"contents/*/*.{kind}")), WIDGET.parent / "po"),
    ],
    ids=["gnome", "plasma"],
)
def test_all_that_they_say_is_translated(sources: Iterable[Path], catalogs: Path, language: str) -> None:
    said = {text for file in sources for texts in MESSAGE.findall(file.read_text("utf-8")) for text in texts if text}
    assert len(said) > 30
    assert {text for text, _ in _entries(catalogs / "coldvoxd.pot")} == said
    translated = _entries(catalogs / f"{language}.po")
    assert {text for text, translation in translated if translation} == said
    assert all(text.count("%") == translation.count("%") for text, translation in translated)


def test_the_extensions_metadata_is_complete() -> None:
    metadata = json.loads((EXTENSION / "metadata.json").read_text("utf-8"))
    assert (metadata["uuid"], metadata["version-name"]) == (EXTENSION.name, __version__)
    assert metadata["url"].startswith("https://")
    assert {"48", "50", "51"} <= set(metadata["shell-version"])
    assert metadata["name"]
    assert metadata["description"]


def _entries(file: Path) -> list[tuple[str, str]]:
    return ENTRY.findall(file.read_text("utf-8"))
