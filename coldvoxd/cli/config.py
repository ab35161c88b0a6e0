"""The command config."""

import os
from argparse import Namespace
from collections.abc import Iterator

from coldvoxd import settings_file
from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.output import Output
from coldvoxd.cli.provider_check import provider_fault
from coldvoxd.core.errors import SettingsError
from coldvoxd.core.settings import Settings
from coldvoxd.core.similar_names import similar
from coldvoxd.settings_file import SettingDoc


def config(arguments: Namespace, output: Output) -> Exit:
    """Show, check or change settings. Raises ColdvoxError."""
    path = settings_file.default_path()
    match arguments.action:
        case "path":
            output.result({"path": str(path), "exists": settings_file.exists(path)}, str(path))
        case "example":
            output.result({"example": settings_file.example()}, settings_file.example().rstrip())
        case "check":
            provider = settings_file.load(arguments.file).model.provider
            if fault := provider_fault(provider):
                raise SettingsError(f"{settings_file.origin('model', 'provider', arguments.file)}: {fault}")
            checked = arguments.file or path
            there = arguments.file is not None or settings_file.exists(path)
            text = f"{checked} can be used" if there else f"{path} does not exist; the defaults are used"
            output.result({"path": str(checked), "exists": there, "valid": True}, text)
        case "set":
            from coldvoxd.cli.config_set import report_written, write_settings

            report_written(write_settings({named(arguments.key): arguments.value}), output)
        case "get":
            doc = named(arguments.key)
            value = _value(settings_file.load(), doc)
            output.result({arguments.key: value}, str(value).lower() if doc.type is bool else str(value))
        case _:
            _show(output)
    return Exit.DONE


def keys() -> list[str]:
    """All keys, such as `microphone.device`, in the order of the file."""
    return [_key(doc) for doc in settings_file.describe()]


def _show(output: Output) -> None:
    chosen, docs = settings_file.load(), list(settings_file.describe())
    output.result({_key(doc): _value(chosen, doc) for doc in docs}, "\n".join(_lines(chosen, docs)))


def _lines(chosen: Settings, docs: list[SettingDoc]) -> Iterator[str]:
    """The settings in force as TOML, each with its source if it is not the default."""
    written, section = settings_file.load(environment={}), ""
    for doc in docs:
        if doc.section != section:
            yield from ([""] if section else [])
            section = doc.section
            yield f"[{section}]"
        source = ""
        if doc.variable in os.environ:
            source = f"  # {doc.variable}"
        elif _value(written, doc) != doc.default:
            source = f"  # from the file; the default is {settings_file.toml_value(doc.default)}"
        yield f"{doc.key} = {settings_file.toml_value(_value(chosen, doc))}{source}"


def named(key: str) -> SettingDoc:
    """The setting of a key such as `model.name`. Raises UsageFault."""
    for doc in settings_file.describe():
        if key == _key(doc):
            return doc
    if below := [other for other in keys() if other.startswith(f"{key}.")]:
        raise UsageFault(f"{key!r} is a section; its settings are {', '.join(below)}.")
    found = f"did you mean {' or '.join(guesses)}? " if (guesses := similar(key, keys())) else ""
    raise UsageFault(f"There is no setting {key!r}; {found}`coldvoxctl config show` lists all settings.")


def _key(doc: SettingDoc) -> str:
    return f"{doc.section}.{doc.key}"


def _value(chosen: Settings, doc: SettingDoc) -> str | float | bool:
    value: str | float | bool = getattr(getattr(chosen, doc.section), doc.key)
    return value
