"""No name of a person or machine remains in a report."""

from pathlib import Path

import pytest

from coldvoxd.doctor.finding import ok
from coldvoxd.doctor.redaction import Person, redacted
from coldvoxd.doctor.report import report

ANNA = Person(home=Path("/home/anna"), user="anna", real_name="Anna Karenina", hosts=("peters.lan", "peters"))

PLANTED = {
    "/home/anna/.cache/coldvoxd": "~/.cache/coldvoxd",
    "Anna's AirPods Pro": "USER's AirPods Pro",
    "/media/anna/stick": "/media/USER/stick",
    "owner KARENINA": "owner USER",
    "host peters.lan, peters": "host HOST, HOST",
    "bluez_input.AC_DE_48_00_11_22.0": "bluez_input.MAC.0",
    "device ac:de:48:00:11:22": "device MAC",
    "tcp:192.0.2.17:4713": "tcp:IP:4713",
    "fe80:0:0:0:1ff:fe23:4567:890a": "IP",
    "write to anna.k@example.org": "write to EMAIL",
    "hf_AbCdEfGhIjKlMnOp": "TOKEN",
    "token = opensesame": "token = REDACTED",
    "https://me:pw@hub.example/x": "https://hub.example/x",
    "machine 3d1219c7c4c5404aaa1f6d2a48adfda4": "machine ID",
    "utterance 7: 'my secret words'": "(a line with spoken text)",
}
KEPT = (
    "13:04:59 ready",
    "onnxruntime-gpu 1.31.1, numpy 2.4.6",
    "/home/annabel/x",
    "banana",
    "2026-11-23T03:04:05+0000",
)


@pytest.mark.parametrize(("before", "after"), PLANTED.items())
def test_planted_secrets_do_not_appear(before: str, after: str) -> None:
    assert redacted(before, ANNA) == after


@pytest.mark.parametrize("text", KEPT)
def test_what_names_nobody_stays(text: str) -> None:
    assert redacted(text, ANNA) == text


def test_a_whole_report_holds_none_of_it() -> None:
    text = report([ok("part", planted) for planted in PLANTED], ANNA)
    for secret in ("anna", "karenina", "peters", "ac:de", "ac_de", "192.0.2", "opensesame", "secret words", "hf_ab"):
        assert secret not in text.lower()
    assert "## Journal" in text


def test_the_person_who_runs_this_is_known() -> None:
    person = Person.here()
    assert person.user
    assert person.home.is_absolute()
