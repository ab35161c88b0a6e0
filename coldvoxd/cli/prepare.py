"""The command model prepare, and what model list tells of prepared forms."""

from argparse import Namespace
from dataclasses import dataclass

from coldvoxd.cli.exits import Exit
from coldvoxd.cli.output import Output


@dataclass(frozen=True, slots=True)
class Told:
    """One prepared form as model list tells it."""

    precision: str
    provider: str
    bytes: int
    fits: bool
    """Whether it is for the model's files as they are, this ONNX Runtime and this CPU."""


def prepare_model(arguments: Namespace, output: Output) -> Exit:
    """Make the prepared form of a model, where there is none. Raises ColdvoxError."""
    from coldvoxd import settings
    from coldvoxd.cli.golden import keep_golden
    from coldvoxd.core.values import Precision
    from coldvoxd.models import find_model
    from coldvoxd.models.prepared import StoredForm
    from coldvoxd.preparing import prepare
    from coldvoxd.recognizers import cpu_precision

    chosen = settings.load().model
    name = arguments.name or chosen.name
    precision = Precision(arguments.precision or (cpu_precision(chosen) if name == chosen.name else Precision.FP32))

    def in_use(form: StoredForm) -> bool:
        return form.fits and (form.model, form.precision) == (chosen.name, str(cpu_precision(chosen)))

    form = prepare(
        find_model(name, precision),
        budget_bytes=chosen.prepared_gb * 1e9,
        threads=chosen.threads,
        in_use=in_use,
        tell=output.note,
    )
    keep_golden(name, precision, output)
    size = sum(path.stat().st_size for path in form.directory.iterdir())
    output.result(
        {"model": name, "precision": str(precision), "path": str(form.directory), "bytes": size},
        f"{name} ({precision}) is prepared, {size / 1e9:.1f} GB in {form.directory}",
    )
    return Exit.DONE


def prepared_of(model: str) -> list[Told]:
    """The prepared forms of a model."""
    from coldvoxd.models.prepared import stored_forms

    return [Told(form.precision, form.provider, form.size, form.fits) for form in stored_forms() if form.model == model]
