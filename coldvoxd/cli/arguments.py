"""coldvoxctl's command line: commands, options and their help."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from coldvoxd.arguments import Help
from coldvoxd.cli import help_texts
from coldvoxd.cli.argument_types import any_text, channel
from coldvoxd.cli.evaluate_arguments import EVALUATE, add_evaluate_options
from coldvoxd.cli.first_run_arguments import FIRST_RUN, FIRST_RUN_JSON, add_first_run_options
from coldvoxd.cli.model_arguments import add_model_commands
from coldvoxd.cli.parser import Commands, Parser, add_command
from coldvoxd.cli.session_options import (
    add_language,
    add_options_of_callers_that_stay,
    add_retry_options,
    add_session_options,
)
from coldvoxd.cli.shortcuts.key import DEFAULT_KEY


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments: `command`, `json` and the command's options. Raises UsageFault; exits for --help."""
    return command_line().parse_args(arguments)


def command_line() -> argparse.ArgumentParser:
    """The source of --help, the completions and the manual page."""
    parser = Parser(
        prog="coldvoxctl",
        description="Dictate with coldvoxd, and see what it is doing.",
        epilog=help_texts.MAIN,
        formatter_class=Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line; valid for every command")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=Parser)
    _session_commands(commands)
    _daemon_commands(commands)
    _listen_command(commands)
    _transcribe_command(commands)
    add_evaluate_options(add_command(commands, "evaluate", *EVALUATE))
    add_model_commands(commands)
    _doctor_command(commands)
    _shortcut(
        add_command(
            commands,
            "shortcut",
            "set up a desktop shortcut for dictation",
            help_texts.SHORTCUT,
            help_texts.SHORTCUT_JSON,
        )
    )
    _setup_command(commands)
    _config(
        add_command(
            commands,
            "config",
            "show, check and change the settings",
            "Show, check and change the settings. Without an action, show them.\n",
            "",
        )
    )
    _completion_command(commands)
    return parser


def _session_commands(commands: Commands) -> None:
    """start, stop, toggle, cancel and retry."""
    start = add_command(
        commands,
        "start",
        "start dictating",
        help_texts.START,
        f'With --json: {{"session": NUMBER}}.\n{help_texts.PROBLEM_JSON}',
    )
    add_session_options(start)
    _from_key(
        start,
        "for a shortcut key: wait for the text of the last session before starting, and show errors as notifications",
    )
    add_options_of_callers_that_stay(start)

    stop = add_command(commands, "stop", "stop dictating and print the text", help_texts.STOP, help_texts.STOP_JSON)
    _from_key(stop, "for a shortcut key: show errors as notifications")
    toggle = add_command(
        commands,
        "toggle",
        "start dictating, or stop",
        "Start a session, or stop the active one without waiting for its text, which is sent to the listeners.\n"
        "The options are those of the session that is started; they have no effect if one is stopped.\n",
        f'With --json: {{"active": true or false}}, whether a session was started.\n{help_texts.PROBLEM_JSON}',
    )
    add_session_options(toggle)
    add_options_of_callers_that_stay(toggle)
    _from_key(
        toggle,
        "for a shortcut key: wait for the text of the last session before starting, and show errors as notifications",
    )
    add_command(
        commands,
        "cancel",
        "discard the session",
        "End the session and discard its audio and text. No further text of it is sent.\n",
        'With --json: {"cancelled": true}.',
    )
    retry = add_command(
        commands, "retry", "recognize the last utterance again", help_texts.RETRY, help_texts.EMPTY_JSON
    )
    add_retry_options(retry)


def _daemon_commands(commands: Commands) -> None:
    """status, metrics, reload, provider, devices and device."""
    add_command(
        commands,
        "status",
        "show what the daemon is doing and what it runs on",
        "Show state, model, execution provider and the last error. Does not start the daemon.\n",
        help_texts.STATUS_JSON,
    )
    add_command(commands, "metrics", "show counters and timings", help_texts.METRICS, help_texts.METRICS_JSON)
    add_command(
        commands,
        "reload",
        "reload settings and model",
        help_texts.RELOAD,
        'With --json: {"reloaded": true, "awaiting_restart": []}.',
    )
    provider = add_command(
        commands,
        "provider",
        "switch the execution provider",
        help_texts.PROVIDER,
        'With --json: {"execution_provider": NAME}, the provider now in use.',
    )
    provider.add_argument("provider", metavar="NAME", help="auto, cpu, cuda, ...")
    add_command(commands, "devices", "list microphones", help_texts.DEVICES, help_texts.DEVICES_JSON)
    device = add_command(
        commands, "device", "switch to another microphone", help_texts.DEVICE, 'With --json: {"device": DESCRIPTION}.'
    )
    device.add_argument("name", metavar="NAME", help="a microphone's name or part of it, or `default`")


def _listen_command(commands: Commands) -> None:
    listen = add_command(
        commands, "listen", "print texts as they are recognized", help_texts.LISTEN, help_texts.LISTEN_JSON
    )
    listen.add_argument("--once", action="store_true", help="exit when a session has ended")
    listen.add_argument("--start", action="store_true", help="start a session, and exit when it ends")
    add_session_options(
        listen.add_argument_group("options for the session that --start starts"),
        "print words while they are spoken; also without --start, for sessions that have them",
        "print up to N other texts below each text, 1 to 8",
    )
    listen.add_argument(
        "--private",
        action="store_true",
        help="with --start: only this command receives the texts and can stop the session",
    )


def _transcribe_command(commands: Commands) -> None:
    transcribe = add_command(
        commands, "transcribe", "transcribe recordings", help_texts.TRANSCRIBE, help_texts.TRANSCRIBE_JSON
    )
    transcribe.add_argument(
        "files", nargs="+", metavar="FILE", help="a recording, a folder or a pipe; `-` is standard input"
    )
    transcribe.add_argument("-r", "--recursive", action="store_true", help="also the folders in a folder")
    transcribe.add_argument(
        "--format", choices=("text", "json", "srt", "vtt"), help="text, JSON, or subtitles (default: text)"
    )
    transcribe.add_argument(
        "-o", "--output", metavar="PATH", help="write to this file, or to files in this folder, instead of stdout"
    )
    transcribe.add_argument("--force", action="store_true", help="with --output: replace files that exist")
    transcribe.add_argument(
        "--channel",
        type=channel,
        default="auto",
        metavar="C",
        help="auto, mix, left, right, or a channel number from 1 (default: auto)",
    )
    add_language(transcribe)
    transcribe.add_argument("--local", action="store_true", help="recognize in this process, without the daemon")
    transcribe.add_argument("--model", metavar="NAME|PATH", help="with --local: a model's name or directory")
    transcribe.add_argument(
        "--precision", choices=("fp32", "fp16", "int8"), help="with --local: which precision of the model"
    )


def _doctor_command(commands: Commands) -> None:
    doctor = add_command(
        commands,
        "doctor",
        "check the installation, and report how to fix it",
        help_texts.DOCTOR + FIRST_RUN,
        help_texts.DOCTOR_JSON + FIRST_RUN_JSON,
    )
    doctor.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="also write a file for a bug report, without personal data; `-` prints it instead of the findings",
    )
    add_first_run_options(doctor)


def _setup_command(commands: Commands) -> None:
    setup = add_command(
        commands, "setup", "install the user service for this account", help_texts.SETUP, help_texts.SETUP_JSON
    )
    setup.add_argument(
        "--cpu", action="store_true", help="add the sandboxing for machines without a GPU to the service"
    )
    setup.add_argument(
        "--typing",
        action="store_true",
        help="also type dictated text into the focused window (coldvox-type)",
    )
    setup.add_argument("--no-start", action="store_true", help="install everything, but start nothing")
    setup.add_argument("--bin", type=Path, metavar="DIR", help="directory of the coldvoxd program; normally detected")
    setup.add_argument("--remove", action="store_true", help="remove everything that setup installed")
    setup.add_argument("--purge", action="store_true", help="with --remove: also remove settings and models")


def _completion_command(commands: Commands) -> None:
    completion = add_command(
        commands,
        "completion",
        "print the completion script for a shell",
        help_texts.COMPLETION,
        "With --json, the fields shell and script.\n",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")
    completion.add_argument(
        "--program", choices=("coldvoxctl", "coldvox-type"), default="coldvoxctl", help="the command to complete"
    )


def _from_key(command: Parser, meaning: str) -> None:
    command.add_argument("--from-key", action="store_true", help=meaning)


def _shortcut(shortcut: Parser) -> None:
    actions = shortcut.add_subparsers(
        dest="shortcut_command", metavar="ACTION", title="actions", parser_class=Parser, required=True
    )
    install = add_command(
        actions, "install", "install a shortcut", "Print each change to the desktop's configuration, and make it.\n", ""
    )
    install.add_argument("--key", default=DEFAULT_KEY, metavar="KEY", help=f"the key; default {DEFAULT_KEY}")
    install.add_argument("--hold", action="store_true", help="dictate while the key is held (sway, hyprland)")
    install.add_argument("--dry-run", action="store_true", help="print the changes without making them")
    remove = add_command(actions, "remove", "remove the shortcut", "Remove exactly what `install` added.\n", "")
    show = add_command(
        actions,
        "show",
        "print the installed shortcut",
        "Print the shortcut that is installed, as the desktop's settings have it.\n",
        "",
    )
    for action in (install, remove, show):
        action.add_argument("--desktop", choices=("gnome", "kde", "sway", "hyprland"), help="the desktop to configure")
    held = add_command(
        actions,
        "held",
        "dictate until sway's key is released",
        "Dictate until the key is released. sway runs this command, from the key binding that `shortcut install --hold` adds.\n",
        "",
    )
    add_session_options(held)
    portal = add_command(actions, "portal", "use shortcuts through the desktop's portal", help_texts.PORTAL, "")
    add_session_options(portal.add_argument_group("options for the sessions that the keys start"))


def _config(config: Parser) -> None:
    actions = config.add_subparsers(dest="action", metavar="ACTION", title="actions", parser_class=Parser)
    add_command(
        actions,
        "show",
        "print the settings in force",
        "Print every setting as TOML, and its source if it is not the default.\n",
        'With --json, one object with keys such as "model.name".\n',
    )
    add_command(
        actions,
        "path",
        "print the path of the settings file",
        "Print the path of the settings file, which need not exist.\n",
        "",
    )
    check = add_command(
        actions,
        "check",
        "check the settings file and the environment",
        "Check the settings file and the environment variables. The first error is reported with its line, and the exit code is 1.\n",
        "",
    )
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="check this file instead of the default one")
    add_command(
        actions,
        "example",
        "print a settings file with every key",
        "Print a settings file with every key at its default value, as a comment.\n",
        "",
    )
    get = add_command(
        actions,
        "get",
        "print one setting in force",
        "Print the value of one setting in force, and nothing else, for scripts.\n",
        "",
    )
    get.add_argument("key", metavar="KEY", help="such as model.name")
    change = add_command(
        actions, "set", "write one setting into the settings file", help_texts.SET, help_texts.SET_JSON
    )
    change.add_argument("key", metavar="KEY", help="such as model.name")
    change.add_argument("value", type=any_text, metavar="VALUE", help="the value, without TOML's quotes")
