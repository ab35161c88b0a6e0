"""The commands devices and device."""

from argparse import Namespace
from typing import Any

from coldvoxd.bus.client import DaemonClient
from coldvoxd.cli.exit_codes import Exit
from coldvoxd.cli.output import Output
from coldvoxd.core.errors import DaemonUnreachable


async def devices(arguments: Namespace, output: Output) -> Exit:
    """List the microphones, or select one. Raises ColdvoxError."""
    async with DaemonClient.connected() as daemon:
        if arguments.command == "device":
            await _select(daemon, arguments.name)
            device = (await daemon.microphone())["Device"]
            output.result({"device": device}, output.name(device) or "no microphone")
        else:
            microphone = await daemon.microphone()
            output.result(_fields(microphone), _for_people(microphone, output))
    return Exit.DONE


async def _select(daemon: DaemonClient, name: str) -> None:
    try:
        await daemon.select_device(name)
    except DaemonUnreachable as error:
        raise DaemonUnreachable(
            f"{error} To select a microphone for every start, use `coldvoxctl config set microphone.device NAME`."
        ) from error


def _fields(microphone: dict[str, Any]) -> dict[str, Any]:
    listed = [
        {"name": name, "description": description, "current": description == microphone["Device"]}
        for name, description in microphone["Devices"]
    ]
    return {"devices": listed} | {name.lower(): value for name, value in microphone.items() if name != "Devices"}


def _for_people(microphone: dict[str, Any], output: Output) -> str:
    if not microphone["Devices"]:
        return f"no microphone: {microphone['Problem']}" if microphone["Problem"] else "no microphone"
    follows = ", follows the desktop's default" if microphone["Selection"] == "default" else ""
    rows = []
    for name, description in microphone["Devices"]:
        current = description == microphone["Device"]
        facts = ", ".join(
            filter(None, ("muted" if microphone["Muted"] else "", "open" if microphone["Open"] else "closed"))
        )
        rows.append(
            f"{'*' if current else ' '} {output.name(description)}" + (f"  ({facts}{follows})" if current else "")
        )
        if name != description:
            rows.append(f"    {output.name(name)}")
    return "\n".join(rows)
