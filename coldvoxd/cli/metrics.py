"""What the command metrics prints for people."""

from collections.abc import Iterator, Mapping
from typing import Any


def metrics_for_people(found: Mapping[str, Any]) -> Iterator[str]:
    """Line by line, what GetMetrics tells."""
    minutes = int(found["uptime"] // 60)
    yield f"{'uptime':<26} {minutes // 60} h {minutes % 60:02} min"
    yield f"{'memory':<26} {found['memory'] / 2**20:.0f} MiB"
    yield f"{'model-load':<26} {found['model-load']:.1f} s"
    for name, value in found.items():
        if isinstance(value, int) and name != "memory":
            yield f"{name:<26} {value}"
    for name in ("sessions", "gaps"):
        happened = [f"{reason} {number}" for reason, number in found[name].items() if number]
        yield f"{name:<26} {', '.join(happened) or 'none'}"
    if found["stages"]:
        yield ""
        yield f"{'stage':<26} {'runs':>7} {'p50':>10} {'p95':>10} {'p99':>10}"
        for stage, figures in found["stages"].items():
            shown = (f"{figures[share] * 1000:.1f} ms" for share in ("p50", "p95", "p99"))
            yield f"{stage:<26} {figures['count']:>7} {' '.join(f'{text:>10}' for text in shown)}"
