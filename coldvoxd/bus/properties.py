"""Reads the values of the published properties from the parts of the daemon."""

from collections.abc import Mapping
from typing import Any

from coldvoxd import __version__
from coldvoxd.bus.interface_xml import DICTATION, ENGINE, MICROPHONE
from coldvoxd.bus.valid_text import bus_text
from coldvoxd.core.capabilities import capabilities_of
from coldvoxd.core.ports import Controls
from coldvoxd.core.problems import by_severity
from coldvoxd.core.provider_names import short_name


class Properties:
    """Reads the current value of every property of the contract, as the bus carries it. Event loop only."""

    def __init__(self, controls: Controls) -> None:
        self._dictation = controls.dictation
        self._engine = controls.engine
        self._microphone = controls.microphone
        self._problem_sources = controls.problems

    def by_interface(self) -> Mapping[str, Mapping[str, Any]]:
        """Return all values by interface and property."""
        return {DICTATION: self.dictation(), ENGINE: self.engine(), MICROPHONE: self.microphone()}

    def dictation(self) -> dict[str, Any]:
        """Return the values of Dictation1's properties by name."""
        return {"State": self._dictation.state.value, "Session": self._dictation.session}

    def engine(self) -> dict[str, Any]:
        """Return the values of Engine1's properties by name."""
        engine = self._dictation.engine
        return {
            "Engine": engine.running.name,
            "Model": bus_text(engine.model),
            "Precision": engine.precision,
            "ExecutionProvider": engine.provider,
            "Provider": short_name(engine.provider),
            "ProviderDevice": bus_text(engine.choice.device),
            "ProviderNote": bus_text(engine.choice.note),
            "AvailableProviders": list(engine.available_providers),
            "UsableProviders": list(engine.usable_providers),
            **self.problems(),
            "Capabilities": capabilities_of(engine),
            "Languages": list(engine.languages),
            "Language": self._dictation.language,
            "Progress": engine.progress,
            "LastError": bus_text(engine.last_error),
            "AwaitingRestart": list(self._engine.awaiting_restart),
            "Version": __version__,
        }

    def problems(self) -> dict[str, Any]:
        """Return the values of Engine1's Problems (current codes, most severe first) and Degraded (the first one)."""
        found = by_severity(problem for source in self._problem_sources for problem in source.problems)
        codes = [problem.value for problem in found]
        return {"Problems": codes, "Degraded": codes[0] if codes else ""}

    def microphone(self) -> dict[str, Any]:
        """Return the values of Microphone1's properties by name."""
        microphone = self._microphone
        return {
            "Device": bus_text(microphone.device),
            "Devices": [[bus_text(name), bus_text(description)] for name, description in microphone.devices],
            "Selection": bus_text(microphone.selection),
            "Open": microphone.device_open,
            "Policy": microphone.policy.value,
            "Muted": microphone.muted,
            "Problem": bus_text(microphone.problem or microphone.channel_problem),
        }
