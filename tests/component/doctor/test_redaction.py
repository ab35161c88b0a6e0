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
    "fe80::1ff:fe23:4567:890a%wlp2s0: no route": "IP: no route",
    "[fe80::1]:631 or 2001:db8::7.": "[IP]:631 or IP.",
    "::ffff:192.0.2.17": "IP",
    "HF_TOKEN=opensesame": "HF_TOKEN=REDACTED",
    '{"access_token": "opensesame", "n": 1}': '{"access_token": REDACTED, "n": 1}',
    "Authorization: Bearer opensesame.1234": "Authorization: REDACTED TOKEN",
    "https://hub.example/x?X-Amz-Signature=opensesame&n=1": "https://hub.example/x?X-Amz-Signature=REDACTED&n=1",
    "ghp_opensesame0123456789": "TOKEN",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.opensesame": "TOKEN",
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
    "std::vector, 1:2:3, at ::",
    "1025 tokens",
)


@pytest.mark.parametrize(("before", "after"), PLANTED.items())
def test_planted_secrets_do_not_appear(before: str, after: str) -> None:
    assert redacted(before, ANNA) == after


JUERGEN = Person(
    home=Path("/home/jürgen"), user="jürgen-peter", real_name="Jürgen-Peter Müller-Lüdenscheidt", hosts=("büro-pc",)
)


@pytest.mark.parametrize(
    ("before", "after"),
    {
        "Herr Müller": "Herr USER",
        "LÜDENSCHEIDT's headset": "USER's headset",
        "Peter und Ju\u0308rgen": "USER und USER",
        "/home/ju\u0308rgen/x": "~/x",
        "/home/j\u00fcrgen/x": "~/x",
        "host bu\u0308ro-pc": "host HOST",
        "file:///media/J%C3%BCrgen/x": "file:///media/USER/x",
        r"app-j\xc3\xbcrgen\x2dpeter.slice": "app-USER.slice",
        r"mnt-anna\x2dpeter.mount": r"mnt-anna\x2dUSER.mount",
    }.items(),
)
def test_parts_of_hyphenated_names_and_decomposed_letters_do_not_appear(before: str, after: str) -> None:
    assert redacted(before, JUERGEN) == after


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
