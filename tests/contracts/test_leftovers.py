"""Files of an earlier release: the current daemon recovers every text of the spool and continues from the handover."""

import re
from pathlib import Path

from tests.contracts.conftest import Frozen
from tests.support.contracts import leftovers
from tests.support.contracts.comparison import breaches


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


async def test_the_texts_of_a_killed_daemon_arrive_once_and_in_order(frozen: Frozen, runtime: Path) -> None:
    wanted = frozen.table("recovered.json")["spool"]
    assert [words(text) for text in wanted["texts"]] == [words(each.said) for each in leftovers.sentences()]
    found = await leftovers.recovered(runtime, frozen.directory / "spool")
    assert [words(text) for text in found["texts"]] == [words(text) for text in wanted["texts"]]
    assert words(found["transcript"]) == words(wanted["transcript"])
    assert (found["session"], found["reason"], found["left"]) == (wanted["session"], wanted["reason"], [])


async def test_the_next_process_goes_on_from_a_handover(frozen: Frozen, runtime: Path) -> None:
    wanted = frozen.table("recovered.json")["handover"]
    assert words(wanted["last"]) == words(leftovers.sentences()[1].said)
    found = await leftovers.resumed(runtime, (frozen.directory / "handover.json").read_bytes())
    assert words(found["last"]) == words(wanted["last"])
    assert found["uptime_s"] >= frozen.table("handover.json")["carried"]["metrics"]["uptime_s"] > 0
    assert breaches({"stages": wanted["stages"], "providers": wanted["providers"]}, found) == []
    lower = {name: count for name, count in wanted["counts"].items() if found["counts"][name] < count}
    assert lower == {}, "every counter continues from its previous value"
