"""The commands start, stop, toggle, cancel, retry, reload, provider and status."""

import itertools
import re
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from coldvoxd.bus.client import DaemonClient
from coldvoxd.cli.alternatives import alternative_lines, warn_without_alternatives
from coldvoxd.cli.exit_codes import Exit
from coldvoxd.cli.key_presses import FAILED, start_after_last, toggle_after_last
from coldvoxd.cli.metrics import metrics_for_people
from coldvoxd.cli.output import Output
from coldvoxd.cli.session_options import check_not_bound, retry_options, session_options
from coldvoxd.cli.wordless import NO_WORDS_IN_LAST, Ending, deaf, stopped
from coldvoxd.core.errors import ColdvoxError, NotActive, NotOwner, NotSupported, SettingsError, shown
from coldvoxd.core.fallback import PARAKEET
from coldvoxd.core.languages import AUTO, ignored
from coldvoxd.core.problems import WRONG_ON_CPU, Problem
from coldvoxd.core.sound_sources import DEFAULT


async def control(arguments: Namespace, output: Output) -> Exit:
    """Run one of these commands. Raises ColdvoxError."""
    if arguments.command in {"start", "toggle"}:
        check_not_bound(arguments)
    async with DaemonClient.connected() as daemon:
        try:
            await _carry_out(arguments, output, daemon)
        except NotActive:
            raise  # the session that the key should stop has already ended
        except ColdvoxError as error:
            if getattr(arguments, "from_key", False):
                await daemon.notify(FAILED, str(error))
            raise
    return Exit.DONE


async def _carry_out(arguments: Namespace, output: Output, daemon: DaemonClient) -> None:
    match arguments.command:
        case "start":
            options = session_options(arguments)
            session = await (start_after_last(daemon, options) if arguments.from_key else daemon.start(options))
            await _heard_or_warned({"session": session}, f"listening, session {session}", output, daemon)
        case "stop":
            _transcript(*await stopped(daemon), output)
        case "toggle":
            options = session_options(arguments)
            active = await (toggle_after_last(daemon, options) if arguments.from_key else daemon.toggle(options))
            await _heard_or_warned({"active": active}, "listening" if active else "stopped", output, daemon)
        case "cancel":
            await daemon.cancel()
            output.result({"cancelled": True}, "cancelled")
        case "retry":
            await _retry(arguments, output, daemon)
        case "metrics":
            found = await daemon.metrics()
            rows = metrics_for_people(found, ascii_only="utf" not in (sys.stdout.encoding or "").lower())
            output.result(found, "\n".join(rows))
        case "reload":
            await _reload(daemon, output)
        case "provider":
            await daemon.set_provider(arguments.provider)
            running = (await daemon.status())["ExecutionProvider"]
            output.result({"execution_provider": running}, f"recognition runs on {running}")
        case _:
            microphone = await daemon.microphone()
            del microphone["Devices"]
            status = await daemon.status()
            status |= microphone | {"SessionLanguage": await _session_language(daemon, status["Session"])}
            output.result({_snake_case(name): value for name, value in status.items()}, _for_people(status, output))


async def _retry(arguments: Namespace, output: Output, daemon: DaemonClient) -> None:
    options, fields, others = retry_options(arguments), {}, []
    if "alternatives" in options:
        await warn_without_alternatives(daemon, output)
        transcript, details = await daemon.retry_last_with_details(options)
        others = details["alternatives"]
        fields = {"alternatives": others}
    else:
        transcript = await daemon.retry_last(options)
    ending = Ending(None if transcript else NO_WORDS_IN_LAST, has_gaps=False)
    _transcript(transcript, ending, output, fields, alternative_lines(others))


async def reload(output: Output) -> None:
    """Make the daemon reload its settings, and report what does not take effect. Raises ColdvoxError."""
    async with DaemonClient.connected() as daemon:
        await _reload(daemon, output)


async def _reload(daemon: DaemonClient, output: Output) -> None:
    await daemon.reload()
    status = await daemon.status()
    waiting = list(status.get("AwaitingRestart", ()))
    fields: dict[str, Any] = {"reloaded": True, "awaiting_restart": waiting}
    if problem := _device_problem(await daemon.microphone()):
        fields |= {"problem": str(Problem.MICROPHONE_LOST), "message": problem}
    output.result(fields, _reloaded(waiting))
    if problem:
        output.warning(problem)
    if Problem.LANGUAGE in status.get("Problems", ()):
        output.warning(_ignored_language(status))
    if Problem.FALLBACK_ENGINE in status.get("Problems", ()):
        output.warning(str(status.get("LastError", "")))


def _transcript(
    transcript: str,
    ending: Ending,
    output: Output,
    more: Mapping[str, Any] = MappingProxyType({}),
    below: Sequence[str] = (),
) -> None:
    """Print the text, or the reason on stderr if there is none, because scripts read stdout.

    `more` are further fields of --json, and `below` the lines for people below the text.
    """
    output.result(
        {"transcript": transcript, **more} | ending.fields, "\n".join((transcript, *below)) if transcript else None
    )
    for warning in ending.warnings:
        output.warning(warning)


async def _heard_or_warned(fields: dict[str, Any], text: str, output: Output, daemon: DaemonClient) -> None:
    """Print the result, and on stderr why no audio can be received now."""
    reason = await deaf(daemon)
    output.result(fields | ({"problem": reason.code, "message": reason.sentence} if reason else {}), text)
    if reason is not None:
        output.warning(reason.sentence)


def _reloaded(waiting: list[str]) -> str:
    if not waiting:
        return "settings and model reloaded"
    return f"settings and model reloaded; {', '.join(waiting)}: after `systemctl --user restart coldvoxd`"


def _device_problem(microphone: Mapping[str, Any]) -> str:
    """Why the selected microphone cannot be used; empty if nothing is known against it.

    A selection that is closed by policy has no problem yet, so its name is looked up.
    """
    if microphone["Problem"] or microphone["Selection"] == DEFAULT:
        return str(microphone["Problem"])
    wanted, names = microphone["Selection"].casefold(), [*itertools.chain(*microphone["Devices"])]
    if any(wanted in name.casefold() for name in names):
        return ""
    return (
        f"There is no microphone “{shown(microphone['Selection'])}”; the daemon waits for it. "
        "`coldvoxctl devices` lists the microphones."
    )


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _for_people(status: dict[str, Any], output: Output) -> str:
    session, progress = status["Session"], status["Progress"]
    found = status.get("Problems", ())  # daemons of earlier versions do not have it
    problems = ", ".join(found) or status["Degraded"]
    rows = [
        ("state", status["State"] + (f", session {session}" if session else "")),
        ("engine", _other_engine(status)),
        ("model", f"{status['Model']} ({status['Precision']})" if status["Model"] else "none loaded"),
        ("languages", ", ".join(status.get("Languages", ()))),
        ("language", _language(status)),
        ("provider", _provider(status)),
        ("", status.get("ProviderNote", "")),
        ("available", ", ".join(status["AvailableProviders"]) or "unknown"),
        ("usable", ", ".join(status.get("UsableProviders", ()))),
        ("microphone", _microphone(status)),
        ("", status["Problem"]),
        ("health", f"degraded: {problems}" if problems else "good"),
        ("", WRONG_ON_CPU if Problem.CPU_WRONG_OUTPUT in found else ""),
        ("", _ignored_language(status) if Problem.LANGUAGE in found else ""),
        ("progress", f"{progress:.0%}" if progress >= 0 else ""),
        ("last error", status["LastError"]),
        ("restart for", ", ".join(status.get("AwaitingRestart", ()))),
        ("version", status["Version"]),
    ]
    return "\n".join(f"{name:<11} {output.name(value)}" for name, value in rows if value)


def _other_engine(status: dict[str, Any]) -> str:
    """Return the fallback engine that recognizes; empty for Parakeet, and for daemons of earlier versions."""
    engine = str(status.get("Engine", ""))
    return f"{engine}, the fallback" if engine not in {"", PARAKEET} else ""


async def _session_language(daemon: DaemonClient, session: int) -> str:
    """Return the language of the active session: `auto` or a code; empty if it is unknown, or private to its program."""
    if not session:
        return ""
    try:
        return str((await daemon.session_options(session)).get("language", ""))
    except (NotActive, NotOwner, NotSupported):  # it has just ended; it is private; a daemon of an earlier version
        return ""


def _language(status: dict[str, Any]) -> str:
    """Return the selected language, and that of the session if it differs; empty if the model leaves no choice."""
    selected, of_session = str(status.get("Language", "")), status["SessionLanguage"]
    if len(status.get("Languages", ())) < 2 or not selected:
        return ""
    return selected if of_session in {"", selected} else f"{selected}; {of_session} in this session"


def _ignored_language(status: dict[str, Any]) -> str:
    """The sentence, with the language of the settings, which the daemon does not publish, if the file has one."""
    from coldvoxd import settings_file

    try:
        setting = settings_file.load().dictation.language
    except SettingsError:
        setting = AUTO
    return ignored(status["Model"], "" if setting in {AUTO, *status.get("Languages", ())} else setting)


def _provider(status: dict[str, Any]) -> str:
    name, device = status["ExecutionProvider"] or "none open", status.get("ProviderDevice", "")
    return f"{name}, {device}" if device else name


def _microphone(status: dict[str, Any]) -> str:
    facts = ["open" if status["Open"] else "closed", status["Policy"]]
    if status["Muted"]:
        facts.append("muted")
    return f"{status['Device'] or 'none'} ({', '.join(facts)})"
