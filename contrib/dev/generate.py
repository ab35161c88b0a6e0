#!/usr/bin/env python3
"""Writes files that have their source elsewhere: tables and pictures of the manual, example settings, bus reference.

contrib/dev/generate.py            write
contrib/dev/generate.py --check    exit 1 and show the files that differ from their source
"""

import argparse
import ast
import difflib
import inspect
import re
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from coldvoxd.cli.exit_codes import MEANINGS  # noqa: E402
from coldvoxd.core import endpointing, errors, failover_state  # noqa: E402
from coldvoxd.dictation import state  # noqa: E402
from coldvoxd.host import sleep_state  # noqa: E402 - the checkout's own
from coldvoxd.settings_file import describe, example, toml_value  # noqa: E402

XML = ROOT / "dbus/org.coldvox.Daemon1.xml"
MANUAL = ROOT / "contrib/docs"
PACKAGE = ROOT / "coldvoxd"
REFERENCE = ROOT / "dbus/reference.md"
EXAMPLE = ROOT / "contrib/examples/coldvoxd.toml"


def settings_table() -> str:
    """Return Markdown with one table per section."""
    lines: list[str] = []
    section = ""
    for doc in describe():
        if doc.section != section:
            section = doc.section
            lines += ["", f"`[{section}]`", "", "| key | default | meaning |", "|---|---|---|"]
        limits = f" ({doc.limits})" if doc.limits else ""
        lines.append(f"| `{doc.key}` | `{toml_value(doc.default)}` | {doc.text}{limits} |")
    return "\n".join(lines).strip()


def error_table() -> str:
    """Return Markdown with every error name on the bus and its class's docstring."""
    lines = ["| error | when |", "|---|---|"]
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if kind is not errors.ColdvoxError and issubclass(kind, errors.ColdvoxError) and "dbus_name" in vars(kind):
            lines.append(f"| `{errors.ERROR_PREFIX}{kind.dbus_name}` | {inspect.getdoc(kind)} |")
    return "\n".join(lines)


def exit_table() -> str:
    """Return Markdown with the exit codes of coldvoxctl, in the words of its help."""
    lines = ["| code | meaning |", "|---|---|"]
    return "\n".join([*lines, *(f"| {int(code)} | {meaning} |" for code, meaning in MEANINGS.items())])


Imports = dict[str, set[str]]
"""The other parts of the package that each part imports. A part is a folder or module at the top of the package."""


def imports() -> str:
    """Return Markdown with a picture of the package's parts by layer, and a table of them.

    The layers are those of pyproject.toml.
    """
    layers = _layers()
    found = _imports(layers)
    return f"{_picture(layers, found)}\n\n{_parts_table(layers, found)}"


def _layers() -> list[list[str]]:
    """Return the parts of the package by layer, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [re.split(r" *[|:] *", layer) for layer in layers]


def _imports(layers: list[list[str]]) -> Imports:
    parts = [part for layer in layers for part in layer]
    found: Imports = {part: set() for part in parts}
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if part in found:
            names = {name.split(".")[1] for name in _imported_names(path) if name.startswith("coldvoxd.")}
            found[part] |= names & found.keys() - {part}
    return found


def _imported_names(path: Path) -> Iterator[str]:
    """Yield absolute names, including those imported inside functions; the project has no relative imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _picture(layers: list[list[str]], found: Imports) -> str:
    lines = ["```mermaid", "flowchart TB"]
    for number, layer in enumerate(layers):
        lines += [f'    subgraph layer{number}[" "]', *(f"        {part}" for part in layer), "    end"]
    for part, imported in found.items():
        implied = {further for near in imported for further in _reachable(found, near)}
        lines += [f"    {part} --> {other}" for other in sorted(imported - implied)]
    return "\n".join([*lines, "```"])


def _reachable(found: Imports, part: str) -> set[str]:
    """Return all parts that a part imports, directly or indirectly; the layers exclude cycles."""
    return found[part] | {further for near in found[part] for further in _reachable(found, near)}


def _parts_table(layers: list[list[str]], found: Imports) -> str:
    lines = ["| part | what it is | imports |", "|---|---|---|"]
    for part in (part for layer in layers for part in layer):
        path = PACKAGE / part / "__init__.py"
        name = f"{part}/" if path.exists() else f"{part}.py"
        module = ast.parse((path if path.exists() else PACKAGE / name).read_text("utf-8"))
        about = (ast.get_docstring(module) or "").partition("\n")[0]
        lines.append(f"| `{name}` | {about} | {', '.join(sorted(found[part])) or 'nothing'} |")
    return "\n".join(lines)


def diagrams() -> str:
    """Return the state machines as Mermaid, drawn from their tables."""
    return "\n\n".join(
        (
            _diagram("Dictation", _dictation_arrows()),
            _diagram("Endpointing", _endpointing_arrows()),
            _diagram("Failover", _failover_arrows()),
            _diagram("Sleep", _sleep_arrows()),
        ),
    )


def _diagram(name: str, arrows: Iterator[tuple[str, str, str]]) -> str:
    joined: dict[tuple[str, str], list[str]] = {}
    for source, target, label in arrows:
        joined.setdefault((source, target), []).append(label)
    lines = ["```mermaid", "---", f"title: {name}", "---", "stateDiagram-v2"]
    lines += [f"    {source} --> {target}: {', '.join(labels)}" for (source, target), labels in joined.items()]
    return "\n".join([*lines, "```"])


def _dictation_arrows() -> Iterator[tuple[str, str, str]]:
    for phase, rows in state.TABLE.items():
        for event, row in rows.items():
            if row.to is not phase:
                yield phase.value, row.to.value, event.value


def _endpointing_arrows() -> Iterator[tuple[str, str, str]]:
    for phase, rows in endpointing.TABLE.items():
        for symbol, (to, _) in rows.items():
            if to is not phase or symbol is endpointing.Symbol.FULL:
                yield phase.value, to.value, symbol.value


def _failover_arrows() -> Iterator[tuple[str, str, str]]:
    events: dict[str, failover_state.Event] = {
        "loaded": failover_state.Loaded(0.0),
        "only the CPU wanted": failover_state.CpuWanted(),
        "pause over": failover_state.ProbeDue(),
        "idle timeout": failover_state.IdleTimeout(),
        "recognition needed": failover_state.RecognitionNeeded(),
        "GPU unhealthy": failover_state.GpuUnhealthy(
            failover_state.FaultClass.UNHEALTHY, failover_state.Reason.GPU_OVERHEATING, 0.0
        ),
        "system suspends": failover_state.Suspending(),
        "resumed": failover_state.Resumed(stale=False),
        "resumed with a stale context": failover_state.Resumed(stale=True),
    }
    for fault_class in failover_state.FaultClass:
        events[f"{fault_class} fault"] = failover_state.Fault(fault_class, failover_state.Reason.GPU_FAULT, 0.0)
    for phase in failover_state.Phase:
        for label, event in events.items():
            try:
                after, _ = failover_state.step(failover_state.FailoverState(phase), event)
            except failover_state.UnexpectedEvent:
                continue
            if after.phase is not phase:
                yield phase.value, after.phase.value, label


def _sleep_arrows() -> Iterator[tuple[str, str, str]]:
    for phase, rows in sleep_state.TABLE.items():
        for event, (after, _) in rows.items():
            if after is not phase:
                yield phase.value, after.value, event.value


def reference() -> str:
    """Return the bus reference page, from the prose before each member of the XML."""
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    node = ET.fromstring(XML.read_text("utf-8"), parser)
    lines = ["# The bus interface of coldvoxd", "", f"Generated from `{XML.relative_to(ROOT)}`; change it there.", ""]
    lines += [f"Object `{node.get('name')}`, bus name `org.coldvox.Daemon1`, session bus.", ""]
    lines += [error_table(), ""]
    for interface, prose in _documented(node):
        lines += [f"## {interface.get('name')}", "", *_paragraphs(prose), ""]
        for member, text in _documented(interface):
            lines += [f"### {_signature(member)}", "", *_paragraphs(text), ""]
    return "\n".join(lines).rstrip() + "\n"


def _documented(parent: ET.Element) -> Iterator[tuple[ET.Element, str]]:
    """Yield children with the comment before each. Raises SystemExit for a child without one."""
    prose = ""
    for child in parent:
        if child.tag is ET.Comment:  # type: ignore[comparison-overlap]  # a comment's tag is this function
            prose = child.text or ""
            continue
        if not prose.strip():
            raise SystemExit(f"{XML.name}: {child.tag} {child.get('name')} has no prose")
        yield child, prose
        prose = ""


def _paragraphs(prose: str) -> list[str]:
    """Convert gtk-doc's form to Markdown: drop the line with the name, make arguments a list."""
    lines = [line.strip() for line in prose.strip().splitlines()][1:]
    text = "\n".join(re.sub(r"^@(\w+): ?", r"- `\1`: ", line) for line in lines).strip()
    return text.splitlines()


def _signature(member: ET.Element) -> str:
    name = member.get("name", "")
    if member.tag == "property":
        return f"property {name} ({member.get('type')}, {member.get('access')})"
    arguments = [argument for argument in member if argument.tag == "arg"]
    written = [f"{argument.get('type')} {argument.get('name')}" for argument in arguments]
    if member.tag == "signal":
        return f"signal {name}({', '.join(written)})"
    goes_in = [text for text, argument in zip(written, arguments, strict=True) if argument.get("direction") == "in"]
    out = [text for text in written if text not in goes_in]
    return f"{name}({', '.join(goes_in)})" + (f" -> ({', '.join(out)})" if out else "")


def renewed(path: Path, parts: Mapping[str, str]) -> str:
    """Return a text with its generated parts replaced."""
    text = path.read_text("utf-8")
    for name, content in parts.items():
        begin, end = f"<!-- generated: {name} -->", f"<!-- end: {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"{path.name} must hold one {begin} and one {end}")
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{content}\n{end}{rest.partition(end)[2]}"
    return text


def main() -> int:
    """Write, or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something differs")
    check = parser.parse_args().check
    drifted = False
    texts = {
        page: renewed(page, parts)
        for page, parts in {
            MANUAL / "settings.md": {"settings": settings_table()},
            MANUAL / "command-line.md": {"exit-codes": exit_table()},
            MANUAL / "architecture.md": {"imports": imports(), "diagrams": diagrams()},
        }.items()
    } | {
        REFERENCE: reference(),
        EXAMPLE: example(),
    }
    for path, content in texts.items():
        before = path.read_text("utf-8") if path.exists() else ""
        if before == content:
            continue
        drifted = True
        if check:
            name = str(path.relative_to(ROOT))
            sys.stdout.writelines(
                difflib.unified_diff(before.splitlines(True), content.splitlines(True), name, f"{name} (its source)")
            )
        else:
            path.write_text(content, "utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    if drifted and check:
        print("These files don't follow their sources: run contrib/dev/generate.py and commit what it writes.")
    return int(drifted and check)


if __name__ == "__main__":
    raise SystemExit(main())
