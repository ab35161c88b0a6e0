"""The steps of a chaos run, from a seed: a pure function, so that a seed gives the same steps on every machine.

It does not use hypothesis's RuleBasedStateMachine, which executes a failing run a second time and reports FlakyFailure
instead of the failure if real processes do not fail at the same moment again, and which cannot list its steps before it
has executed them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Source(StrEnum):
    """The kind of microphone that the daemon uses."""

    SERVER = "server"
    """The monitor of a PulseAudio null sink, into which sentences are played."""
    VIRTUAL = "virtual"
    """The shipped virtual microphone."""


class Unhearable(StrEnum):
    """Which sentences a step may cost. The ledger allows no other excuse: every other sentence must be published."""

    NONE = "none"
    MEANWHILE = "those spoken, in part or whole, while it lasts"
    AT_ITS_MOMENT = "the one being spoken at that moment"
    UNPUBLISHED = "those whose text has not arrived"
    IF_IT_DIES = "those whose text has not arrived, of sessions of that time, where the process dies"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of step."""

    name: str
    weight: float
    unhearable: Unhearable = Unhearable.NONE
    mend: str = ""
    """Name of the step that ends the fault; empty if the step ends by itself."""
    only: Source | None = None
    """The microphone with which it can happen; None for both."""
    longest_s: float = 0.0
    """Maximum duration of a step in seconds; 0 for a step without one."""
    choices: tuple[str, ...] = ()
    at_most: int = 1_000_000
    """Maximum number in LIMITS_RENEWED steps."""


PROVIDER_FAULTS = (
    "FAULT memory",
    "FAULT memory decoder",
    "FAULT illegal",
    "FAULT lost decoder",
    "FAULT fault",
    "FAULT nan",
    "FAULT nan decoder",
    "FAULT broken",
    "HANG 2500",
    "HANG 2500 1 decoder",
    "CPU FAULT memory",
    "CPU HANG 1500",
)
"""Commands to coldvoxd.virtual.accelerator. Refused openings result from the reopenings after these faults and from
`REFUSE memory 2`.
"""
BROKEN_SETTINGS = ("[microphone\n", "[endpoint]\nhangover_ms = 1\n", "[model]\nprovider = 3\n", "[nonsense]\nx = 1\n")

KINDS = (
    Kind("say", 46),
    Kind("pause", 5, longest_s=1.2),
    Kind("stop", 6, Unhearable.AT_ITS_MOMENT),
    Kind("cancel", 2, Unhearable.UNPUBLISHED),
    Kind("provider fault", 13, choices=(*PROVIDER_FAULTS, "REFUSE memory 2")),
    Kind("slow subscriber", 4, mend="subscriber leaves"),
    Kind("runtime directory full", 4, Unhearable.IF_IT_DIES, mend="room in the runtime directory"),
    Kind("reload with broken settings", 5, mend="settings repaired", choices=BROKEN_SETTINGS),
    Kind("reload", 2),
    Kind("daemon stopped", 6, Unhearable.MEANWHILE, longest_s=2.5),
    Kind("daemon stopped until the watchdog", 0.7, Unhearable.AT_ITS_MOMENT, at_most=1),
    Kind("daemon killed", 4, Unhearable.AT_ITS_MOMENT),
    Kind("daemon killed with text pending", 4, Unhearable.AT_ITS_MOMENT),
    Kind("daemon restarted", 1, Unhearable.UNPUBLISHED, at_most=3),
    Kind("other microphone", 1.5, Unhearable.UNPUBLISHED, at_most=8),
    Kind("bus gone", 2.5, Unhearable.UNPUBLISHED, at_most=6),
    Kind("bus stopped", 3, longest_s=2.0),
    Kind("sound server gone", 6, Unhearable.MEANWHILE, mend="sound server back", only=Source.SERVER),
    Kind("sound server stopped", 6, Unhearable.MEANWHILE, mend="sound server continues", only=Source.SERVER),
    Kind("microphone unplugged", 6, Unhearable.MEANWHILE, mend="microphone plugged in"),
    Kind("microphone muted", 5, Unhearable.MEANWHILE, mend="microphone audible", only=Source.SERVER),
    Kind("microphone stalls", 6, Unhearable.MEANWHILE, only=Source.VIRTUAL, longest_s=2.5),
    Kind("microphone overruns", 6, Unhearable.MEANWHILE, only=Source.VIRTUAL, longest_s=1.5),
)
BY_NAME = {kind.name: kind for kind in KINDS}
CHECKPOINT = "back to normal"
"""All faults are ended, everything must be as at the beginning, and the ledger is closed."""
CHECK_EVERY = 20
LIMITS_RENEWED = 200
LONGEST_FAULT = 3
"""Maximum number of steps from a fault to its end."""
PROVIDER_FAULTS_AT_ONCE = 3
"""Maximum between two checks: the daemon's pause before it tries the accelerator again doubles with each."""


SERVER_MENDS = frozenset({"sound server back", "sound server continues"})
MICROPHONE_MENDS = frozenset({*SERVER_MENDS, "microphone plugged in", "microphone audible"})


@dataclass(frozen=True, slots=True)
class Step:
    """One step. Its text is printed."""

    name: str
    after_s: float
    """Pause in seconds before it."""
    lasts_s: float = 0.0
    choice: str = ""

    def __str__(self) -> str:
        details = [f"{self.lasts_s:.2f} s"] if self.lasts_s else []
        details += [repr(self.choice)] if self.choice else []
        return f"after {self.after_s:.2f} s: {self.name}{' ' if details else ''}{', '.join(details)}"


@dataclass(slots=True)
class _World:
    """The plan's model of the world: the active faults."""

    source: Source
    mends: dict[str, int] = field(default_factory=dict)
    """Names of the steps that end faults, with their latest step numbers."""
    used: dict[str, int] = field(default_factory=dict)
    provider_faults: int = 0

    def allows(self, kind: Kind) -> bool:
        if self.used.get(kind.name, 0) >= kind.at_most or kind.only not in {None, self.source}:
            return False
        if kind.mend in self.mends:
            return False
        if kind.name == "provider fault":
            return self.provider_faults < PROVIDER_FAULTS_AT_ONCE
        if SERVER_MENDS & self.mends.keys() and (kind.only is Source.SERVER or kind.name == "microphone unplugged"):
            return False  # a stopped server can't do anything else
        if kind.name == "microphone muted" and "microphone plugged in" in self.mends:
            return False
        # Another microphone or a restart would be refused while the settings are broken.
        return not ("settings repaired" in self.mends and kind.name in {"other microphone", "daemon restarted"})

    def next_mend(self, number: int) -> str:
        """Return and remove the fault-ending step that is due; the sound server precedes its microphones."""
        due = [name for name, at in self.mends.items() if at <= number]
        first = next((name for name in self.mends if name in SERVER_MENDS), due[0])
        del self.mends[first]
        return first


def plan(seed: int, steps: int) -> list[Step]:
    """Return the seed's first `steps` steps, including checkpoints. The last one is always a checkpoint."""
    return list(_steps(random.Random(seed), first_source(seed), steps))


def first_source(seed: int) -> Source:
    """Return the microphone with which a run starts."""
    return (Source.SERVER, Source.VIRTUAL)[seed % 2]


def _steps(chance: random.Random, source: Source, count: int) -> Iterator[Step]:
    world = _World(source)
    for number in range(1, count + 1):
        after_s = round(chance.uniform(0.0, 0.5), 2)
        if number % LIMITS_RENEWED == 0:
            world.used.clear()
        if number == count or number % CHECK_EVERY == 0:
            world.mends.clear()
            world.provider_faults = 0
            yield Step(CHECKPOINT, after_s)
            continue
        if any(at <= number for at in world.mends.values()):
            yield Step(world.next_mend(number), after_s)
            continue
        yield _fault_or_action(chance, world, number, after_s)


def _fault_or_action(chance: random.Random, world: _World, number: int, after_s: float) -> Step:
    allowed = [kind for kind in KINDS if world.allows(kind)]
    (kind,) = chance.choices(allowed, [one.weight for one in allowed])
    world.used[kind.name] = world.used.get(kind.name, 0) + 1
    if kind.mend:
        world.mends[kind.mend] = number + chance.randint(1, LONGEST_FAULT)
    world.provider_faults += kind.name == "provider fault"
    if kind.name == "other microphone":
        world.source = Source.VIRTUAL if world.source is Source.SERVER else Source.SERVER
        for mend in MICROPHONE_MENDS:
            world.mends.pop(mend, None)  # the step ends these faults
    lasts_s = round(chance.uniform(0.1, kind.longest_s), 2) if kind.longest_s else 0.0
    return Step(kind.name, after_s, lasts_s, chance.choice(kind.choices) if kind.choices else "")
