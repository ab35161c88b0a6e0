"""The columns of coldvoxctl metrics."""

from coldvoxd.cli.metrics import metrics_for_people
from coldvoxd.core.metrics import Count


def test_columns_line_up_whatever_they_hold() -> None:
    figures = {"count": 1_234_567, "p50": 0.01, "p95": 12.02, "p99": 1234.5}
    few = {"count": 2, "p50": 0.01, "p95": 0.02, "p99": 0.03}
    found = {
        "uptime": 9000.0,
        "memory": 10**9,
        "model-load": 2.0,
        **{count.value: 7 for count in Count},
        "stages": {"endpoint-to-text": figures, "queue": few},
        "distributions": {"queue": [0, 1, 2, 3]},
        "distribution-edges": [0.01, 0.1, 1.0, 2.0],
        "stages-by-provider": {"CPUExecutionProvider": {"queue": few}},
    }
    counters, *tables = "\n".join(metrics_for_people(found)).split("\n\n")
    starts = {len(line) - len(line.partition(" ")[2].lstrip()) for line in counters.splitlines()}
    assert len(starts) == 1
    for column in ("p50", "p95", "p99"):
        heads = {table.splitlines()[0].index(column) + len(column) for table in tables}
        assert len(heads) == 1
        [end] = heads
        rows = [line for table in tables for line in table.splitlines()[1:]]
        assert all(line[:end].endswith(" ms") for line in rows), column


def test_without_stages_there_are_counters_only() -> None:
    found = {"uptime": 60.0, "memory": 2**20, "model-load": 0.0, "stages": {}}
    assert list(metrics_for_people(found)) == [
        "uptime        0 h 01 min",
        "memory        1 MiB",
        "model-load    0.0 s",
        "sessions      none",
        "gaps          none",
        "faults        none",
        "fault-reasons none",
    ]
