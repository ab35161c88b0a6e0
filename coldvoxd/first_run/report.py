"""The report of a first run: one JSON document, from which the Markdown page is made. It holds no spoken text.

A program that reads it checks `schema`. Later versions only gain keys, or have another number.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from coldvoxd import __version__
from coldvoxd.core.settings import Settings
from coldvoxd.doctor.finding import Finding
from coldvoxd.doctor.redaction import Person, redacted
from coldvoxd.evaluate.report import processor
from coldvoxd.first_run.conducting import FirstRun
from coldvoxd.first_run.planning import Step, Variant
from coldvoxd.first_run.proposals import proposals
from coldvoxd.first_run.speech import SCORING
from coldvoxd.native.memory import available_bytes
from coldvoxd.native.ort import VERSION as ORT_VERSION
from coldvoxd.native.processor import physical_cores

SCHEMA = "coldvoxd-first-run/1"
GIB = 1 << 30
Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How it was measured."""

    model: str
    """The directory's name, or the name in the settings."""
    settings: Settings
    budget_s: float
    took_s: float
    busy_share: float
    """Share of the processors that other programs took."""
    longest_s: Mapping[Variant, float | None]
    """Length in seconds from which a variant is reported to lose words; None if none is known."""
    is_interrupted: bool = False


def document(
    run: FirstRun, variants: Sequence[Variant], findings: Sequence[Finding], how: Circumstances
) -> dict[str, Any]:
    """Return the whole report, not redacted yet."""
    main = variants[0]
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "version": __version__,
        "interrupted": how.is_interrupted,
        "budget_s": how.budget_s,
        "took_s": round(how.took_s, 1),
        "machine": _machine(how.busy_share),
        "model": how.model,
        "understands": run.understands(main),
        "main": main.name,
        "scoring": SCORING,
        "settings": _settings(how.settings),
        "files": dict(run.figures(Step.FILES)),
        "variants": [_variant(run, variant, how.longest_s[variant]) for variant in variants],
        "pauses": dict(run.figures(Step.PAUSES, main)),
        "silence": dict(run.figures(Step.SILENCE, main)),
        "partials": dict(run.figures(Step.PARTIALS, main)),
        "peer": dict(run.figures(Step.PEER, main)),
        "steps": [
            {
                "step": str(one.task.step),
                "variant": one.task.variant.name if one.task.variant else "",
                "status": str(one.status),
                "seconds": round(one.took_s, 1),
                "message": one.message,
            }
            for one in run.results
        ],
        "findings": [asdict(finding) for finding in findings],
    }
    result["proposals"] = [{**asdict(one), "command": one.command} for one in proposals(result)]
    return result


def without_secrets(value: Any, person: Person) -> Any:
    """Return the document, or a part of it, without names, addresses, paths below home, keys and serial numbers."""
    if isinstance(value, str):
        return redacted(value, person)
    if isinstance(value, Mapping):
        return {key: without_secrets(part, person) for key, part in value.items()}
    return [without_secrets(part, person) for part in value] if isinstance(value, list) else value


def _machine(busy_share: float) -> dict[str, Any]:
    try:
        distribution = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        distribution = "unknown"
    free = available_bytes()
    return {
        "processor": processor(),
        "cores": physical_cores(),
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB, 1),
        "free_gib": None if free is None else round(free / GIB, 1),
        "busy_share": busy_share,
        "system": f"{distribution}, Linux {platform.release()}, {platform.machine()}",
        "python": platform.python_version(),
        "onnxruntime": ORT_VERSION,
    }


def _settings(settings: Settings) -> dict[str, Any]:
    return {
        "hangover_ms": settings.endpoint.hangover_ms,
        "seam": settings.dictation.seam,
        "seam_s": settings.dictation.seam_s,
        "partials": settings.dictation.partials,
        "precision": settings.model.precision,
        "provider": settings.model.provider,
        "threads": settings.model.threads,
        "beam_size": settings.model.beam_size,
    }


def _variant(run: FirstRun, variant: Variant, longest_s: float | None) -> dict[str, Any]:
    return {
        "name": variant.name,
        "precision": str(variant.precision),
        "provider": variant.provider,
        "prepared": variant.is_prepared,
        "longest_s": longest_s,
        "load": dict(run.figures(Step.LOAD, variant)),
        "speech": dict(run.figures(Step.SPEECH, variant)),
        "speed": dict(run.figures(Step.SPEED, variant)),
        "page": dict(run.figures(Step.PAGE, variant)),
        "lengths": run.figures(Step.LENGTHS, variant).get("rows", []),
    }
