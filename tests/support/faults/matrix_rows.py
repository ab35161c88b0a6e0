"""The fault matrix's rows: each fault and its moment, as a list of acts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One way in which an accelerator can fail.

    Acts, in order:

    `say A B ...`   speak samples of the manifest, by number, one after the other
    `hear`          wait for the texts of all spoken samples
    `on cpu`        wait until the CPU recognizes; `on gpu` until the accelerator does
    `degraded CODE` wait until that reason is published
    `stop`          call StopDictation immediately
    in capitals     a command to the virtual accelerator, see coldvoxd.virtual.accelerator
    """

    name: str
    moment: str
    acts: str
    """Acts separated by `; `."""
    struck: int = 0
    """Index of the utterance that meets the (last) fault."""
    before: tuple[str, ...] = ()
    """Commands to the virtual accelerator before a model is loaded; the accelerator is not awaited then."""
    hedged: bool = False
    """Recovery counts from the hedge on: a hang is not noticed before."""
    on_cpu: bool = True
    """Whether the affected utterance is recognized on the CPU."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Additional environment variables of the daemon."""


def rows() -> tuple[Row, ...]:
    """Return all rows."""
    return (*_loading(), *_in_a_run(), *_under_pressure(), *_on_the_cpu_too())


def _loading() -> Iterator[Row]:
    served = "on cpu; say 0; hear"
    for kind in ("absent", "driver", "memory", "illegal"):
        yield Row(f"{kind} at load", "at load", served, before=(f"REFUSE {kind}",), on_cpu=False)
    for kind in ("memory", "illegal", "nan", "broken"):
        yield Row(f"{kind} at warm-up", "at warm-up", served, before=(f"FAULT {kind}",), on_cpu=False)
    for kind in ("wrong", "empty"):  # output for the golden clip
        yield Row(f"{kind} at warm-up", "at warm-up", served, before=("PASS 1", f"FAULT {kind}"), on_cpu=False)
    for kind in ("memory", "illegal"):
        acts = "say 0; hear; degraded *; say 16; hear"
        yield Row(f"{kind} while loading", "while loading", acts, before=(f"REFUSE {kind} 1 4000",), on_cpu=False)
    acts = "say 0; hear; on gpu; say 16; hear"
    yield Row("slow while loading", "while loading", acts, before=("OPENING 4000",), on_cpu=False)


def _in_a_run() -> Iterator[Row]:
    for kind in ("memory", "illegal", "lost"):
        acts = f"say 0; hear; FAULT {kind} start; say 16; hear; on cpu"
        yield Row(f"{kind} between utterances", "between utterances", acts, struck=1)
    for part in ("encoder", "decoder"):
        for kind in ("memory", "illegal", "lost", "fault", "nan", "broken"):
            yield Row(f"{kind} in the {part}", f"in the {part}", f"FAULT {kind} {part}; say 0; hear; on cpu")
        acts = f"HANG 30000 {part}; say 0; hear; degraded gpu-timeout; on cpu"
        yield Row(f"hang in the {part}", f"in the {part}", acts, hedged=True)
    acts = "FAULT illegal 1 encoder 4000; say 0; hear; say 16; hear; on cpu"
    yield Row("hang and then illegal", "in the encoder", acts, hedged=True)
    yield Row("empty in an utterance", "in the decoder", "FAULT empty 2; say 1; hear; on cpu")


def _under_pressure() -> Iterator[Row]:
    for kind in ("memory", "illegal", "nan"):
        yield Row(f"{kind} during Stop", "during Stop", f"FAULT {kind}; say 0; stop; on cpu")
    yield Row("hang during Stop", "during Stop", "HANG 30000; say 0; stop; on cpu", hedged=True)
    burst = "say 0 16 8 13 20 4 21 1 18 3; hear; on cpu"
    moment = "during a burst of ten utterances"
    for kind in ("memory", "illegal", "nan"):
        acts = f"REFUSE memory 9; PASS 4; FAULT {kind} decoder; {burst}"
        yield Row(f"{kind} in a burst of ten", moment, acts, struck=4)
    acts = f"REFUSE memory 9; PASS 4; HANG 30000; {burst}"
    yield Row("hang in a burst of ten", moment, acts, struck=4, hedged=True)
    for kind in ("memory", "nan"):
        once = f"FAULT {kind}; say 0; hear; on cpu"
        again = f"on gpu; FAULT {kind} decoder; say 16; hear; on cpu"
        yield Row(f"{kind} twice in a row", "twice in a row", f"{once}; {again}", struck=1)
    # More than three: a speculative run, started in a pause and then discarded, hangs too but doesn't count.
    acts = "REFUSE memory 9; HANG 2500 9; say 0 16 8 13 4 21 1 18; hear; degraded *; on cpu"
    yield Row("slow three times in a row", "twice in a row", acts, on_cpu=False)


def _on_the_cpu_too() -> Iterator[Row]:
    for kind in ("memory", "illegal", "nan"):
        acts = f"FAULT {kind}; CPU FAULT {kind} decoder; say 0; hear; on cpu; say 16; hear"
        yield Row(f"{kind}, and on the CPU too", "on the CPU too", acts, on_cpu=False)
    acts = "REFUSE memory 9; FAULT memory; CPU HANG 30000; say 6; hear; on cpu; say 16; hear"
    yield Row("memory, and the CPU hangs", "on the CPU too", acts, on_cpu=False)
    for standby in ("cold", "mapped"):
        acts = "FAULT memory; say 0; hear; on cpu"
        yield Row(
            f"memory with a {standby} standby",
            "in the encoder",
            acts,
            on_cpu=False,
            settings={"COLDVOXD_MODEL_STANDBY": standby},
        )
    for standby in ("warm", "mapped", "cold"):
        settings = {"COLDVOXD_MODEL_STANDBY": standby, "COLDVOXD_MODEL_STANDBY_PRECISION": "int8"}
        name = f"memory with a {standby} standby in int8"
        yield Row(name, "in the encoder", acts, on_cpu=standby == "warm", settings=settings)
