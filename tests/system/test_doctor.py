"""The doctor in a login without problems, and the report for bug reports."""

import json
from pathlib import Path

from tests.support.login.login import SETTINGS, UNIT, Login, samples

OPEN = samples()[0]


def test_where_all_is_well_the_doctor_finds_nothing_broken(dictation: Login) -> None:
    done = dictation.run(dictation.ctl, "--json", "doctor", check=False, patience_s=180)
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [finding for finding in findings if finding["verdict"] == "fail"]
    assert not failed
    assert done.returncode == 0, done.stderr
    told = {(finding["part"], finding["verdict"]) for finding in findings}
    assert told >= {("bus", "ok"), ("activation", "ok"), ("unit", "ok"), ("settings", "ok"), ("provider", "ok")}
    texts = " | ".join(finding["text"] for finding in findings)
    assert "idle, mini" in texts
    assert "it is active" in texts


def test_a_report_holds_the_journal_but_neither_names_nor_what_was_said(dictation: Login) -> None:
    chatty = '\n[log]\nlevel = "debug"\nspoken_text = true\n'
    settings = ".config/coldvoxd/coldvoxd.toml"
    dictation.write(settings, SETTINGS + chatty)
    try:
        dictation.systemctl("restart", UNIT)
        dictation.wait_for_state("idle")
        dictation.answer("StartDictation")
        dictation.speak(OPEN)
        said = dictation.answer("StopDictation")
        assert OPEN.is_in(said)
        assert said in dictation.journal(UNIT), "with spoken_text it is in the journal"
        report = Path("/tmp/report.md")
        dictation.run(dictation.ctl, "doctor", "--report", report, check=False, patience_s=180)
        text = dictation.run("cat", report).stdout
    finally:
        dictation.write(settings, SETTINGS)
        dictation.systemctl("restart", UNIT)
        dictation.wait_for_state("idle")
    assert "microphone open" in text, "the journal is there"
    assert "log.spoken_text = true" in text
    assert said not in text
    assert "coldvox-test" not in text
    assert str(dictation.home) not in text
