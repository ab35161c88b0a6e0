"""A graphics card for this very process."""

from pathlib import Path

import pytest

from tests.support.gpu.virtual_nvml import VirtualCard


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VirtualCard:
    """Well, until it is told otherwise."""
    card = VirtualCard(tmp_path)
    monkeypatch.setenv("VIRTUAL_NVML", str(card.state))
    card.enter()
    return card
