"""The text output of the command metrics."""

from collections.abc import Iterator, Mapping
from typing import Any

from coldvoxd.cli.sparkline import bars, extent
from coldvoxd.core.provider_names import short_name

_FIGURES = ("p50", "p95", "p99")
_Line = tuple[str, ...]
"""A name and the cells to the right of it."""


def metrics_for_people(found: Mapping[str, Any], *, ascii_only: bool = False) -> Iterator[str]:
    """The lines that present the result of GetMetrics, in columns as wide as their widest cell."""
    counters = list(_counters(found))
    tables = [_stages(found, ascii_only=ascii_only)] if found["stages"] else []
    tables += [
        [_head(f"on {short_name(provider)}"), *(_figures(stage, figures) for stage, figures in stages.items())]
        for provider, stages in found.get("stages-by-provider", {}).items()
    ]
    every = [line for table in tables for line in table]
    name_width = max(len(line[0]) for line in (*counters, *every))
    widths = [max(len(line[column]) for line in every) for column in range(1, 2 + len(_FIGURES))] if every else []
    for name, text in counters:
        yield f"{name:<{name_width}} {text}"
    for table in tables:
        yield ""
        for name, *cells in table:
            columns = " ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))
            yield f"{name:<{name_width}} {columns}  {cells[len(widths)]}".rstrip()


def _counters(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    minutes = int(found["uptime"] // 60)
    yield "uptime", f"{minutes // 60} h {minutes % 60:02} min"
    yield "memory", f"{found['memory'] / 2**20:.0f} MiB"
    yield "model-load", f"{found['model-load']:.1f} s"
    if found.get("accelerator-load"):
        yield "accelerator-load", f"{found['accelerator-load']:.1f} s"
    for name, value in found.get("gpu", {}).items():
        yield f"gpu-{name}", f"{value} °C" if name == "temperature" else f"{value / 2**20:.0f} MiB"
    for name, value in found.items():
        if isinstance(value, int) and name != "memory":
            yield name, str(value)
    for name in ("sessions", "gaps", "faults", "fault-reasons"):
        happened = [f"{reason} {number}" for reason, number in found.get(name, {}).items() if number]
        yield name, ", ".join(happened) or "none"


def _stages(found: Mapping[str, Any], *, ascii_only: bool) -> list[_Line]:
    """The stages with a histogram each, on one time scale that doubles every two characters."""
    distributions, edges = found.get("distributions", {}), found.get("distribution-edges", [])
    first, end = extent(list(distributions.values()))
    scale = f"{_time(edges[max(first - 1, 0)])} to {_time(edges[min(end, len(edges)) - 1])}" if end else ""
    lines = [_head("stage", scale)]
    for stage, figures in found["stages"].items():
        plot = bars(distributions.get(stage, [])[first:end], ascii_only=ascii_only)
        lines.append(_figures(stage, figures, plot))
    return lines


def _head(title: str, scale: str = "") -> _Line:
    return title, "runs", *_FIGURES, scale


def _figures(stage: str, figures: Mapping[str, Any], plot: str = "") -> _Line:
    return stage, str(figures["count"]), *(f"{figures[share] * 1000:.1f} ms" for share in _FIGURES), plot


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.0f} s"
