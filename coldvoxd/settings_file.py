"""Reads settings from a TOML file in the XDG configuration directory, overridden by environment variables."""

import ast
import dataclasses
import functools
import inspect
import json
import os
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coldvoxd.core.errors import SettingsError, shown
from coldvoxd.core.settings import Settings
from coldvoxd.core.similar_names import similar
from coldvoxd.core.text_formats import NotToml, toml_tables
from coldvoxd.core.toml_spelling import toml_spelling
from coldvoxd.core.visible_text import is_unicode, visible
from coldvoxd.userdirs import base_directories
from coldvoxd.userdirs.text_files import read_text, why_unread
from coldvoxd.userdirs.toml_lines import line_numbers, nearest_line

ENVIRONMENT_PREFIX = "COLDVOXD_"


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """The documentation of one setting, for the settings reference."""

    section: str
    key: str
    type: type
    default: object
    text: str
    limits: str

    @property
    def variable(self) -> str:
        """The environment variable that overrides the setting."""
        return f"{ENVIRONMENT_PREFIX}{self.section}_{self.key}".upper()


def default_path() -> Path:
    """The default path of the settings file, which need not exist."""
    return base_directories.config_home() / base_directories.APPLICATION / "coldvoxd.toml"


@functools.cache
def describe() -> tuple[SettingDoc, ...]:
    """All settings, in the order of the file. Cached: parsing the source for the texts takes about 0.1 s."""
    return tuple(_described())


def _described() -> Iterator[SettingDoc]:
    for section in dataclasses.fields(Settings):
        kind = _section_type(section)
        texts = docstrings(kind)
        for field in dataclasses.fields(kind):
            yield SettingDoc(
                section.name, field.name, _type(field), field.default, texts[field.name], _limits(field.metadata)
            )


def toml_value(value: object) -> str:
    """The TOML form of a setting's value."""
    return json.dumps(value, ensure_ascii=False)


def example() -> str:
    """A settings file with every key at its default, commented out."""
    lines = [
        "# Settings of coldvoxd: copy to ~/.config/coldvoxd/coldvoxd.toml and change what you need.",
        "# Every key is listed with its default. An environment variable overrides the file:",
        "# COLDVOXD_MODEL_NAME for `name` under [model], and so on. `coldvoxctl config example` prints this.",
    ]
    section = ""
    for doc in describe():
        if doc.section != section:
            section = doc.section
            lines += ["", f"[{section}]"]
        limits = f" ({doc.limits})" if doc.limits else ""
        lines += [f"# {doc.text}{limits}", f"#{doc.key} = {toml_value(doc.default)}"]
    return "\n".join(lines) + "\n"


def load(path: Path | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Load settings from the file, if it exists, and from the environment.

    Raises SettingsError with the file, the line and the reason. A `path` that is given must exist.
    """
    source = path or default_path()
    values: dict[str, dict[str, object]] = {field.name: {} for field in dataclasses.fields(Settings)}
    if path is not None or exists(source):
        _read_file(source, values)
    _read_environment(environment, values)
    return Settings(
        **{field.name: _section_type(field)(**values[field.name]) for field in dataclasses.fields(Settings)}
    )


def checked(doc: SettingDoc, text: str, where: str) -> object:
    """The value that a text means for a setting, as in an environment variable. Raises SettingsError."""
    return _checked(doc, _parsed(doc, text), where)


def exists(source: Path) -> bool:
    """Whether the settings file exists, or a link that should lead to one. Raises SettingsError if that cannot be determined."""
    try:
        source.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as fault:
        raise SettingsError(
            f"{source} cannot be read: {fault.strerror}. Check the permissions of its directory."
        ) from fault
    return True


def origin(section: str, key: str, path: Path | None = None, environment: Mapping[str, str] = os.environ) -> str:
    """Where the value of a setting that is not the default comes from: the start of an error message."""
    variable = f"{ENVIRONMENT_PREFIX}{section}_{key}".upper()
    if variable in environment:
        return f"Environment, {variable}"
    source = path or default_path()
    return f"{source}, line {nearest_line(line_numbers(read_text(source)), (section, key))}"


def _read_file(source: Path, values: dict[str, dict[str, object]]) -> None:
    try:
        text = read_text(source)
        tables = toml_tables(text)
    except (OSError, UnicodeDecodeError) as fault:
        raise SettingsError(f"{source} cannot be read: {why_unread(fault)}.") from fault
    except NotToml as fault:
        raise SettingsError(f"{source} {fault}") from fault
    lines = line_numbers(text)
    docs = {(doc.section, doc.key): doc for doc in describe()}
    for section, table in tables.items():
        if not isinstance(table, dict) or section not in {doc.section for doc in docs.values()}:
            where = f"{source}, line {nearest_line(lines, (section,))}"
            raise SettingsError(f"{where}: {_misplaced(section, table, docs)}")
        for key, value in table.items():
            where = f"{source}, line {nearest_line(lines, (section, key))}"
            doc = docs.get((section, key))
            if doc is None:
                known = {known.key for known in docs.values() if known.section == section}
                raise SettingsError(f"{where}: [{section}] has no setting `{key}`; it has {_listed(known)}.")
            values[section][key] = _checked(doc, value, where)


def _misplaced(name: str, value: object, docs: Mapping[tuple[str, str], SettingDoc]) -> str:
    """What is wrong with a key or table at the top of the file: a sentence."""
    sections = {section for section, _ in docs}
    if name in sections:
        return f"`{name}` is a section; write [{name}] on a line of its own."
    if isinstance(value, dict):
        return f"there is no section [{name}]; the sections are {_listed(sections)}."
    if homes := {section for section, key in docs if key == name}:
        wanted = " or ".join(f"[{section}]" for section in sorted(homes))
        return f"`{name}` is outside of a section; write it below {wanted}."
    return f"there is no setting `{name}`, and it is outside of a section; the sections are {_listed(sections)}."


def _read_environment(environment: Mapping[str, str], values: dict[str, dict[str, object]]) -> None:
    docs = {doc.variable: doc for doc in describe()}
    for variable, text in environment.items():
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        doc = docs.get(variable)
        if doc is None:
            found = " or ".join(similar(variable, docs))
            remedy = f"use {found}, or unset it" if found else "unset it"
            raise SettingsError(
                f"Environment: there is no setting {variable}; {remedy}. `coldvoxctl config show` lists all settings."
            )
        values[doc.section][doc.key] = _checked(doc, _parsed(doc, text), f"Environment, {variable}")


def _parsed(doc: SettingDoc, text: str) -> object:
    if doc.type is bool:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower(), text)
    if doc.type in {int, float}:
        try:
            return doc.type(text)
        except ValueError:
            return text
    return text


def _checked(doc: SettingDoc, value: object, where: str) -> object:
    """Return the value if it is valid for the setting; a setting with a parser accepts text and numbers."""
    metadata = _metadata(doc)
    if isinstance(value, str) and not is_unicode(value):
        raise SettingsError(f"{where}: `{doc.key}` is not UTF-8 text: {visible(shown(value))}.")
    if "parse" in metadata:
        try:
            return metadata["parse"](value)
        except ValueError as fault:
            raise SettingsError(f"{where}: `{doc.key}` {fault}.") from fault
    fits = type(value) is doc.type or (doc.type is float and type(value) is int)
    if not fits:
        wanted = {str: "a string in quotes", int: "a whole number", float: "a number", bool: "true or false"}[doc.type]
        raise SettingsError(f"{where}: `{doc.key}` must be {wanted}, not {toml_spelling(value)}.")
    if isinstance(value, str) and not value.strip():
        raise SettingsError(f"{where}: `{doc.key}` is empty; leave it out for the default, `{doc.default}`.")
    choices = metadata.get("choices")
    if choices and value not in choices:
        raise SettingsError(f"{where}: `{doc.key}` must be one of {_listed(choices)}, not {toml_spelling(value)}.")
    if "min" in metadata and not _is_within(value, metadata):
        raise SettingsError(f"{where}: `{doc.key}` must be {_limits(metadata)}, not {shown(str(value))}.")
    return float(value) if doc.type is float and isinstance(value, int) else value


def _metadata(doc: SettingDoc) -> Mapping[str, Any]:
    sections = {field.name: _section_type(field) for field in dataclasses.fields(Settings)}
    return next(field.metadata for field in dataclasses.fields(sections[doc.section]) if field.name == doc.key)


def _section_type(field: "dataclasses.Field[Any]") -> type[Any]:
    assert isinstance(field.type, type)  # noqa: S101 - core.settings has real types as annotations
    return field.type


def _type(field: "dataclasses.Field[Any]") -> type:
    assert isinstance(field.type, type) and not isinstance(field.type, types.GenericAlias)  # noqa: S101, PT018
    return field.type


def _is_within(value: Any, metadata: Mapping[str, Any]) -> bool:
    """Return whether a number is within its limits; `above_0` is the least one but 0, which has a meaning of its own."""
    least = metadata.get("above_0", metadata["min"]) if value else metadata["min"]
    return bool(least <= value <= metadata["max"])


def _limits(metadata: Mapping[str, Any]) -> str:
    if "choices" in metadata:
        return "one of " + _listed(metadata["choices"])
    if "above_0" in metadata:
        return f"0, or from {metadata['above_0']} to {metadata['max']}"
    if "min" in metadata:
        return f"from {metadata['min']} to {metadata['max']}"
    return ""


def _listed(names: Iterator[str] | set[str] | tuple[str, ...] | Mapping[str, object]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


def docstrings(kind: type) -> dict[str, str]:
    """The attribute docstrings of a dataclass, by field; Python does not keep them."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(tree, ast.ClassDef)  # noqa: S101 - the source of a class
    texts: dict[str, str] = {}
    for statement, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)  # noqa: S101, PT018
            texts[statement.target.id] = str(after.value.value)
    return texts
