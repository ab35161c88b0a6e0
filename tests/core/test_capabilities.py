"""What the daemon says that it can do."""

from coldvoxd.core.capabilities import CAPABILITIES, capabilities_of
from coldvoxd.core.values import EngineStatus


def test_the_names_are_in_alphabetical_order_with_and_without_a_model() -> None:
    everything = sorted(CAPABILITIES)
    assert capabilities_of(EngineStatus()) == [name for name in everything if name != "language"]
    assert capabilities_of(EngineStatus(model="parakeet", ready=True, languages=("de", "en"))) == everything


def test_a_model_of_one_language_has_none_to_select() -> None:
    assert "language" not in capabilities_of(EngineStatus(model="mini", ready=True, languages=("en",)))


def test_an_ability_of_a_model_is_listed_while_that_model_is_loaded() -> None:
    table = {"of the build": lambda _: True, "of a model": lambda engine: engine.model == "mini"}
    assert capabilities_of(EngineStatus(), table) == ["of the build"]
    assert capabilities_of(EngineStatus(model="mini"), table) == ["of a model", "of the build"]
