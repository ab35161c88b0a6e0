"""The fault matrix: the real daemon loses, duplicates and corrupts no text, whatever fails and whenever.

The rows are those of contrib/faults.sh; here several run at the same time, and no durations are checked.
"""

import asyncio

import pytest

from tests.support.faults.matrix_rows import Row, rows
from tests.support.faults.matrix_stage import Outcome, play

AT_ONCE = 8
"""Number of concurrent rows; a row mostly waits for speech to be spoken."""
ROWS = {f"{row.name} ({row.moment})": row for row in rows()}


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    """Return the outcomes of all rows that this test run selects."""
    wanted = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    }

    async def play_all() -> dict[str, Outcome]:
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(row: Row) -> Outcome:
            async with turn:
                return await play(row, timed=False)

        names = [name for name in ROWS if name in wanted]
        return dict(zip(names, await asyncio.gather(*(one(ROWS[name]) for name in names)), strict=True))

    return asyncio.run(play_all())


@pytest.mark.heavy
@pytest.mark.parametrize("name", ROWS)
def test_every_utterance_is_heard_once_in_order_and_right(name: str, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[name]
    assert not outcome.problem
    assert (outcome.lost, outcome.doubled, outcome.wrong) == (0, 0, 0)


PARTIALS = (
    "illegal between utterances (between utterances)",
    "nan in the decoder (in the decoder)",
    "hang in the encoder (in the encoder)",
    "memory during Stop (during Stop)",
)


@pytest.mark.heavy
@pytest.mark.parametrize("name", PARTIALS)
async def test_words_during_speech_change_no_text(name: str) -> None:
    outcome = await play(ROWS[name], partials=True)
    assert not outcome.problem
    assert (outcome.lost, outcome.doubled, outcome.wrong) == (0, 0, 0)
    assert outcome.partials or name.startswith("hang"), "a run during speech that hangs is stopped for the text"


def test_the_matrix_has_what_was_promised() -> None:
    moments = {row.moment for row in ROWS.values()}
    assert len(ROWS) >= 30
    assert len(ROWS) == len(rows()), "two rows have the same name"
    assert moments == {
        "at load",
        "at warm-up",
        "while loading",
        "between utterances",
        "in the encoder",
        "in the decoder",
        "during Stop",
        "during a burst of ten utterances",
        "twice in a row",
        "on the CPU too",
    }
