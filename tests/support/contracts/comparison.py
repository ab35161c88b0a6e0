"""Compares a frozen contract with the current one: entries may be added, not removed, retyped or redefined."""

from collections.abc import Mapping, Sequence
from typing import Any

Shape = dict[str, Any]
"""The types of a JSON value. `types`: a sorted list of JSON's type names; `fields`: an object with fixed keys, by key;
`values`: an object whose keys are data; `items`: a list. The last three hold shapes.
"""

MAPS = {"stages": 1, "stages-by-provider": 2, "distributions": 1, "fault-reasons": 1, "gpu": 1}
"""Objects by name whose keys depend on the history or on the machine, with the number of such levels."""

_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", dict: "object"}


def breaches(frozen: Any, current: Any, at: str = "") -> list[str]:
    """Return the removals and changes in the current contract, one sentence each.

    Mappings and lists may gain entries; every other value must be equal.
    """
    if isinstance(frozen, Mapping) and isinstance(current, Mapping):
        found = [f"{at}/{key} was removed" for key in frozen if key not in current]
        for key in frozen.keys() & current.keys():
            found += breaches(frozen[key], current[key], f"{at}/{key}")
        return sorted(found)
    if isinstance(frozen, list) and isinstance(current, list):
        return [f"{at}: {entry!r} was removed" for entry in frozen if entry not in current]
    return [] if frozen == current else [f"{at} changed from {frozen!r} to {current!r}"]


def order_breaches(frozen: Sequence[str], current: Sequence[str], at: str = "") -> list[str]:
    """Compare lists whose order is part of the contract: the frozen entries must keep theirs."""
    kept = [entry for entry in current if entry in frozen]
    missing = [f"{at}: {entry!r} was removed" for entry in frozen if entry not in current]
    return missing or ([] if kept == list(frozen) else [f"{at} changed its order from {list(frozen)} to {kept}"])


def limit_breaches(frozen: Mapping[str, Any], current: Mapping[str, Any], at: str = "") -> list[str]:
    """Compare a setting's limits: its range may widen."""
    narrowed = frozen["min"] < current.get("min", frozen["min"]) or frozen["max"] > current.get("max", frozen["max"])
    return [f"{at} was narrowed from {frozen} to {current}"] if narrowed else []


def shape_of(value: Any, levels: int = 0) -> Shape:
    """Return the types of a JSON value; the keys of the first `levels` levels of objects are data."""
    if isinstance(value, dict):
        if levels:
            return {"types": ["object"]} | _inner("values", [shape_of(each, levels - 1) for each in value.values()])
        fields = {key: shape_of(each, MAPS.get(key, 0)) for key, each in value.items()}
        return {"types": ["object"], "fields": dict(sorted(fields.items()))}
    if isinstance(value, list):
        return {"types": ["array"]} | _inner("items", [shape_of(each) for each in value])
    return {"types": [_TYPES[type(value)]]}


def merged(shapes: Sequence[Shape]) -> Shape:
    """Merge the shapes of several values of the same name."""
    types = {name for shape in shapes for name in shape["types"]}
    found: Shape = {"types": sorted(types)}
    if objects := [shape["fields"] for shape in shapes if "fields" in shape]:
        keys = sorted({key for fields in objects for key in fields})
        found["fields"] = {key: merged([fields[key] for fields in objects if key in fields]) for key in keys}
    for name in ("values", "items"):
        found |= _inner(name, [shape[name] for shape in shapes if name in shape])
    return found


def shape_breaches(frozen: Shape, current: Shape, at: str = "") -> list[str]:
    """Return what a reader of the frozen output would miss or misread in the current one."""
    allowed = {*frozen["types"], *(["integer"] if "number" in frozen["types"] else [])}
    if strange := set(current["types"]) - allowed:
        return [f"{at} was {' or '.join(frozen['types'])} and is {' or '.join(sorted(strange))}"]
    found: list[str] = []
    for key, inner in frozen.get("fields", {}).items():
        if key in current.get("fields", {}):
            found += shape_breaches(inner, current["fields"][key], f"{at}/{key}")
        else:
            found.append(f"{at}/{key} was removed")
    for name in ("values", "items"):
        if name in frozen and name in current:
            found += shape_breaches(frozen[name], current[name], f"{at}/*")
    return found


def _inner(name: str, shapes: Sequence[Shape]) -> dict[str, Shape]:
    return {name: merged(shapes)} if shapes else {}
