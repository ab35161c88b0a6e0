"""Contracts defined in the code: members, keys, codes, errors, commands, settings and file names."""

import argparse
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from coldvoxd import arguments as daemon_arguments
from coldvoxd import command as daemon_main
from coldvoxd import settings_file
from coldvoxd.bus.client_errors import NAMED_ERRORS
from coldvoxd.bus.engine_calls import figures_body
from coldvoxd.bus.interface_xml import BUS_NAME, OBJECT_PATH, interface_xml
from coldvoxd.bus.options import FILE_OPTION_TYPES, OPTION_TYPES
from coldvoxd.cli import arguments as ctl_arguments
from coldvoxd.cli.exit_codes import Exit, UsageFault, error_name, exit_for
from coldvoxd.cli.install_ledger import ACTIVATION, units
from coldvoxd.core import errors
from coldvoxd.core.audio_values import GapReason
from coldvoxd.core.failover_state import FaultClass
from coldvoxd.core.metrics import GpuFigures, Metrics, Stage
from coldvoxd.core.ports import Policy
from coldvoxd.core.problems import Problem
from coldvoxd.core.recognition_state import ChangeReason
from coldvoxd.core.values import Precision, State, StopReason
from coldvoxd.doctor.finding import Verdict
from coldvoxd.models.fetch import FetchState
from coldvoxd.typist import arguments as typing_arguments
from coldvoxd.typist import command as typing_client
from coldvoxd.typist.delivery import Result
from coldvoxd.typist.settings import Method, Selection
from tests.support.contracts.comparison import breaches

ROOT = Path(__file__).parents[3]
Table = Callable[[], Any]
"""Returns a contract of the current code."""

QT_ANNOTATIONS = "org.qtproject.QtDBus."
"""Prefix of the annotations that name C++ types for Qt's code generator. They change no call."""


def interface() -> str:
    """Return the interface XML without its prose."""
    root = ET.fromstring(interface_xml())
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def members(xml: str) -> dict[str, Any]:
    """Return interfaces and their members by name; a member is one text, so that any change of its types shows."""
    found: dict[str, Any] = {}
    for each in ET.fromstring(xml).iter("interface"):
        of = found.setdefault(each.attrib["name"], {})
        for member in each:
            key = f"{member.tag} {member.attrib['name']}"
            parts = []
            for part in member:
                if part.attrib["name"].startswith(
                    QT_ANNOTATIONS
                ):  # may be added to a member, as it may to an interface
                    of[f"{key} {part.attrib['name']}"] = part.attrib["value"]
                else:
                    parts.append({"tag": part.tag, **part.attrib})
            of[key] = json.dumps([dict(member.attrib), parts], sort_keys=True)
    return found


def bus() -> dict[str, Any]:
    """Return names, keys of dictionaries with their D-Bus types, and values of texts that programs compare."""
    card = GpuFigures(1, 1, 1, 1)
    metrics = figures_body(Metrics().figures(gpu=card))
    return {
        "name": BUS_NAME,
        "path": OBJECT_PATH,
        "errors": sorted({errors.ERROR_PREFIX + kind.dbus_name for kind in _kinds()}),
        "StartDictationWithOptions": dict(OPTION_TYPES),
        "TranscribeFile": dict(FILE_OPTION_TYPES),
        "GetMetrics": {key: value.signature for key, value in metrics.items()},
        "GetMetrics gpu": sorted(metrics["gpu"].value),
        "GetMetrics stages": [stage.value for stage in Stage],
        "GetMetrics gaps": [reason.value for reason in GapReason],
        "GetMetrics faults": [kind.value for kind in FaultClass],
        "DictationStopped reason": [reason.value for reason in StopReason],
        "ProviderChanged reason": sorted({*map(str, ChangeReason), *map(str, Problem)}),
        "State": [state.value for state in State],
        "Precision": [precision.value for precision in Precision],
        "Policy": [policy.value for policy in Policy],
    }


def problems() -> list[str]:
    """Return the codes of Problems and Degraded, in their order, which is part of the contract."""
    return [problem.value for problem in Problem]


def exits() -> dict[str, Any]:
    """Return the programs' exit codes, and coldvoxctl's errors with the code for each."""
    named = {
        **{error_name(kind("")): int(exit_for(kind(""))) for kind in _kinds()},
        **{f"{errors.ERROR_PREFIX}{name}": int(exit_for(kind(""))) for name, kind in NAMED_ERRORS.items()},
    }
    return {
        "coldvoxctl": [code.value for code in Exit],
        "coldvoxctl errors": dict(sorted(named.items())),
        "coldvoxd": {
            "failed": daemon_main.EXIT_FAILED,
            "bus name taken": daemon_main.EXIT_NAME_TAKEN,
            "wrong settings": daemon_main.EXIT_SETTINGS,
        },
        "coldvox-type": {
            "not delivered": typing_client.FAILED,
            "wrong usage": typing_client.USAGE,
            "no session bus": typing_client.UNREACHABLE,
        },
    }


def words() -> dict[str, list[str]]:
    """Return values of `--json` output that programs compare, by program and key."""
    return {
        "coldvox-type outcome": [result.value for result in Result],
        "coldvox-type method": [method.value for method in Method],
        "coldvoxctl doctor verdict": [verdict.value for verdict in Verdict],
        "coldvoxctl model pull state": [state.value for state in FetchState],
    }


def commands() -> dict[str, Any]:
    """Return the command lines as trees; see `_tree`."""
    return {
        "coldvoxctl": _tree(ctl_arguments.command_line()),
        "coldvoxd": _tree(daemon_arguments.command_line()),
        "coldvox-type": _tree(typing_arguments.command_line()),
    }


def setting_kinds() -> dict[str, dict[str, Any]]:
    """Return each setting's type, environment variable and choices, by section and key."""
    return {
        f"{doc.section}.{doc.key}": {
            "type": doc.type.__name__,
            "variable": doc.variable,
            "choices": sorted(settings_file._metadata(doc).get("choices", ())),
        }
        for doc in settings_file.describe()
    }


def setting_limits() -> dict[str, dict[str, float]]:
    """Return the range of each setting that has one."""
    found = {f"{doc.section}.{doc.key}": settings_file._metadata(doc) for doc in settings_file.describe()}
    return {key: {"min": of["min"], "max": of["max"]} for key, of in found.items() if "min" in of}


def typing_settings() -> dict[str, list[str]]:
    """Return the values of type.toml's keys that have choices."""
    return {"method": [method.value for method in Method], "selection": [one.value for one in Selection]}


def installed() -> dict[str, Any]:
    """Return the names by which desktops, systemd and the bus identify the parts."""
    extension = next((ROOT / "contrib/desktop/gnome-shell").glob("*/metadata.json"))
    widget = next((ROOT / "contrib/desktop/plasma").glob("*/metadata.json"))
    return {
        "units": sorted(units()),
        "activation": ACTIVATION,
        "gnome": json.loads(extension.read_text("utf-8"))["uuid"],
        "plasma": json.loads(widget.read_text("utf-8"))["KPlugin"]["Id"],
        "programs": sorted(
            re.findall(r"^(\S+) = \"\S+:main\"$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
        ),
    }


def _kinds() -> Iterator[type[errors.ColdvoxError]]:
    """Yield the errors that callers may see; those of other modules are internal to the daemon."""
    for found in (*vars(errors).values(), UsageFault):
        if isinstance(found, type) and issubclass(found, errors.ColdvoxError):
            yield found


def _tree(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Return `options`, each with its number of values and choices; `required`; `positionals` in order; `commands`."""
    options: dict[str, Any] = {}
    tree: dict[str, Any] = {"options": options, "required": [], "positionals": [], "commands": {}}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            tree["commands"] = {name: _tree(inner) for name, inner in action.choices.items()}
        elif action.option_strings:
            values = action.nargs if action.nargs is not None else 1
            for name in action.option_strings:
                options[name] = {"values": values, "choices": sorted(action.choices or ())}
                if action.required:
                    tree["required"].append(name)
        else:
            tree["positionals"].append([action.nargs or 1, sorted(action.choices or ())])
    return tree


def command_breaches(frozen: dict[str, Any], current: dict[str, Any], at: str) -> list[str]:
    """Return calls that the frozen command line accepts and the current one does not."""
    found = breaches(frozen["options"], current["options"], at)
    found += [f"{at}: {name} is required now" for name in current["required"] if name not in frozen["required"]]
    count = len(frozen["positionals"])
    if current["positionals"][:count] != frozen["positionals"]:
        found.append(f"{at}: its arguments changed from {frozen['positionals']} to {current['positionals']}")
    found += [
        f"{at}: an argument is required now" for nargs, _ in current["positionals"][count:] if nargs not in ("?", "*")
    ]
    for name, inner in frozen["commands"].items():
        if name in current["commands"]:
            found += command_breaches(inner, current["commands"][name], f"{at} {name}")
        else:
            found.append(f"{at} {name} was removed")
    return found
