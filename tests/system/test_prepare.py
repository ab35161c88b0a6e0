"""A model is prepared by its unit, within the unit's sandbox, and mapped by the service, within the service's."""

from collections.abc import Iterator

import pytest

from tests.support.login.login import MINI, UNIT, Login, login, samples

PREPARE = "coldvoxd-prepare.service"
OPEN = samples()[0]


@pytest.fixture(scope="module")
def person() -> Iterator[Login]:
    with login() as here:
        yield here


def mapped_weights(person: Login) -> set[str]:
    pid = person.show(UNIT, "MainPID")
    lines = person.run("cat", f"/proc/{pid}/maps").stdout.splitlines()
    return {line.split(maxsplit=5)[5] for line in lines if "/coldvoxd/prepared/" in line}


def test_the_service_maps_what_its_unit_prepared(person: Login) -> None:
    assert MINI.is_dir()
    person.systemctl("start", UNIT)
    person.wait_for_state("idle")
    assert mapped_weights(person) == set()
    person.systemctl("start", PREPARE)
    assert person.show(PREPARE, "Result") == "success", person.journal(PREPARE)
    person.systemctl("restart", UNIT)
    person.wait_for_state("idle")
    assert any(path.endswith("/encoder.onnx.data") for path in mapped_weights(person))
    person.answer("StartDictation")
    person.speak(OPEN)
    assert OPEN.is_in(person.answer("StopDictation"))
    person.systemctl("stop", UNIT)
