"""The command model prepare, and the prepared forms in the output of model list."""

import contextlib
import os
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coldvoxd.cli.exit_codes import Exit
from coldvoxd.cli.output import Output
from coldvoxd.core.errors import ConversionFault, ModelInvalid, ModelMissing
from coldvoxd.core.sentences import sentences
from coldvoxd.core.sizes import size_text

if TYPE_CHECKING:
    from coldvoxd.core.values import ModelFiles, Precision

CONVERTED = ("fp16", "int8")
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
"""Exists while the driver is loaded, and is visible in the unit, which has no access to device nodes."""


@dataclass(frozen=True, slots=True)
class Told:
    """One prepared form, as listed by model list."""

    precision: str
    provider: str
    bytes: int
    up_to_date: bool
    """Whether it is valid for the current model files, this ONNX Runtime and this CPU."""


def prepare_model(arguments: Namespace, output: Output) -> Exit:
    """Build the prepared form of a model if there is none, or with --again, after building the precision if needed.

    Raises ColdvoxError.
    """
    from coldvoxd import settings_file
    from coldvoxd.core.values import AUTO_PRECISION, Precision
    from coldvoxd.models import find_model
    from coldvoxd.models.cpu_precision import cpu_precision
    from coldvoxd.models.prepared_store import StoredForm
    from coldvoxd.preparation.prepare import prepare

    os.nice(10)  # a background task of minutes
    chosen = settings_file.load().model
    name = arguments.name or chosen.name
    precision = Precision(arguments.precision or (cpu_precision(chosen) if name == chosen.name else Precision.FP32))

    if arguments.precision in CONVERTED and (precision is Precision.FP16 or not _is_there(name, precision)):
        made = _converted(name, precision, output)
        if precision is Precision.FP16:  # fp16 is for accelerators; prepared forms are for the CPU
            return _tell(made, output)
    if arguments.precision is None and chosen.precision == AUTO_PRECISION and NVIDIA_DRIVER.exists():
        try:
            _converted(name, Precision.FP16, output)
        except ConversionFault as fault:
            output.note(f"fp16 for the GPU could not be built: {fault}")

    def in_use(form: StoredForm) -> bool:
        return form.fits and (form.model, form.precision) == (chosen.name, str(cpu_precision(chosen)))

    form = prepare(
        find_model(name, precision),
        budget_bytes=chosen.prepared_gb * 1e9,
        threads=chosen.threads,
        in_use=in_use,
        again=arguments.again,
        tell=output.note,
    )
    record_golden(name, precision, output)
    size = sum(path.stat().st_size for path in form.directory.iterdir())
    output.result(
        {"model": name, "precision": str(precision), "path": str(form.directory), "bytes": size},
        f"{name} ({precision}) is prepared, {size_text(size)} in {form.directory}",
    )
    return Exit.DONE


def _is_there(name: str, precision: "Precision") -> bool:
    from coldvoxd.models.precision_store import find_converted

    return find_converted(name, precision) is not None


def _converted(name: str, precision: "Precision", output: Output) -> "ModelFiles":
    from coldvoxd.core.errors import ModelInvalid, ProviderFault
    from coldvoxd.core.values import Precision
    from coldvoxd.golden.clip import hear, record
    from coldvoxd.models import find_model
    from coldvoxd.models.precision_build import convert

    made = convert(find_model(name, Precision.FP32), precision, hear, output.note)
    with contextlib.suppress(ModelInvalid, ProviderFault, OSError):  # the daemon then asks the CPU itself
        record(made)
    return made


def _tell(made: "ModelFiles", output: Output) -> Exit:
    from coldvoxd.models.precision_store import files_of

    size = sum(path.stat().st_size for path in files_of(made))
    output.result(
        {"model": made.name, "precision": str(made.precision), "path": str(made.directory), "bytes": size},
        f"{made.name} ({made.precision}) is made, {size_text(size)} in {made.directory}",
    )
    return Exit.DONE


def record_golden(name: str, precision: "Precision", output: Output) -> None:
    """Store the CPU's text for the golden clip, for verifying a GPU. The download succeeds without it."""
    from coldvoxd.core.errors import ProviderFault
    from coldvoxd.golden.clip import record
    from coldvoxd.models import find_model

    try:
        record(find_model(name, precision))
    except (ModelMissing, ModelInvalid, ProviderFault, OSError) as fault:
        output.note(
            sentences(f"The model could not be tried on the CPU: {fault}", "The daemon tests it when necessary.")
        )


def prepared_of(model: str) -> list[Told]:
    """The prepared forms of a model."""
    from coldvoxd.models.prepared_store import stored_forms

    return [Told(form.precision, form.provider, form.size, form.fits) for form in stored_forms() if form.model == model]
