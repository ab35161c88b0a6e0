"""Which clients may read a session's text, and whose departure ends a session."""

import pytest

from coldvoxd.core.recipients import ends_with_caller, is_readable_on, may_read, recipient_of
from coldvoxd.core.values import SessionOptions

OPEN, BOUND, PRIVATE = SessionOptions(), SessionOptions(bind_to_caller=True), SessionOptions(private=True)
OWNER, STRANGER = ":1.1", ":1.2"


@pytest.mark.parametrize(("options", "stranger_may"), [(OPEN, True), (BOUND, True), (PRIVATE, False)])
def test_a_private_text_is_for_its_owner_alone_and_any_other_for_every_client(
    options: SessionOptions, stranger_may: bool
) -> None:
    recipient = recipient_of(OWNER, options)
    assert may_read(OWNER, recipient)
    assert may_read(STRANGER, recipient) is stranger_may
    assert may_read("", recipient) is stranger_may


def test_a_private_session_of_a_caller_without_a_name_is_not_readable_by_others() -> None:
    """The empty name is a recipient; only None means that there is none."""
    recipient = recipient_of("", PRIVATE)
    assert recipient is not None
    assert not may_read(STRANGER, recipient)


@pytest.mark.parametrize(
    ("options", "same_bus", "other_bus"), [(OPEN, True, True), (BOUND, True, True), (PRIVATE, True, False)]
)
def test_a_unique_name_means_nobody_on_another_bus(options: SessionOptions, same_bus: bool, other_bus: bool) -> None:
    assert is_readable_on("guid", "guid", options) is same_bus
    assert is_readable_on("guid", "another", options) is other_bus


@pytest.mark.parametrize(("options", "ends"), [(OPEN, False), (BOUND, True), (PRIVATE, True)])
def test_private_and_bound_sessions_end_with_their_caller(options: SessionOptions, ends: bool) -> None:
    assert ends_with_caller(options) is ends
