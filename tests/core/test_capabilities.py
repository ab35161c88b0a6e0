"""What the daemon says that it can do."""

from coldvoxd.core.capabilities import CAPABILITIES, capabilities_of
from coldvoxd.core.values import EngineStatus


def test_the_names_are_in_alphabetical_order_with_and_without_a_model() -> None:
    assert capabilities_of(EngineStatus()) == sorted(CAPABILITIES)
    assert capabilities_of(EngineStatus(model="mini", ready=True)) == sorted(CAPABILITIES)


def test_an_ability_of_a_model_is_listed_while_that_model_is_loaded() -> None:
    table = {"of the build": lambda _: True, "of a model": lambda engine: engine.model == "mini"}
    assert capabilities_of(EngineStatus(), table) == ["of the build"]
    assert capabilities_of(EngineStatus(model="mini"), table) == ["of a model", "of the build"]
