"""coldvoxctl's command line: commands, options and their help."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from coldvoxd.cli.exit_codes import MEANINGS, UsageFault
from coldvoxd.core import channels

_EXIT_CODES = "exit codes:\n" + "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())

_MAIN = f"""\
examples:
  coldvoxctl toggle --from-key            start or stop; for a shortcut key
  coldvoxctl listen                       print each text as it is recognized
  coldvoxctl listen --start --private     dictate to this terminal only
  coldvoxctl transcribe talk.ogg          recognize a recording
  coldvoxctl model pull                   download the model named in the settings

{_EXIT_CODES}

Errors are printed to stderr in one sentence; with --json as {{"error": NAME, "message": ...}}.
"""

_START = """\
Start a dictation session. Any program of this login may stop it. Its texts are sent to `coldvoxctl listen` and to every
other client. Starts the daemon if it is not running.

For a session that ends with the command, see `coldvoxctl listen --start`.
"""

_STOP = """\
Stop the session, wait for its last text, and print the text of the whole session.

If no words were recognized, stdout is empty, stderr gives the reason if it is known, and the exit code is 0, because the
session was stopped as requested.
"""

_EMPTY_JSON = """\
With --json: {"transcript": TEXT}. If TEXT is empty, empty_reason is one of the following codes, and message is a sentence:
  no-words          speech was heard, and no words were recognized in it
  no-speech         no speech was heard
  microphone-muted, microphone-lost, microphone-quiet
                    a problem of the microphone, as in `problems` of `coldvoxctl status --json`
  unknown           the daemon gave no reason
"""

_PROBLEM_JSON = """\
If no audio can be received, problem (microphone-muted or microphone-lost) and message give the reason; without --json,
stderr does.
"""

_LISTEN = """\
Print each text as it is recognized, one per line, until interrupted with Ctrl-C. If a session returns no text, stderr
gives the reason if it is known.

With --start, start a session, print its texts and exit when it ends. Ctrl-C stops the session and prints the last text; a
second Ctrl-C discards it. The session is bound to this command: it is cancelled if the command exits or is killed.
"""

_LISTEN_JSON = """\
With --json, one object per line, with `event` and, if the event belongs to a session, `session`:
  listening            the first event without --start: no later event is missed
  transcribed          utterance, text, start, end, confidence, provider, latency, retried; words with --words
  started
  stopped              reason, transcript; empty_reason and message if the session returned no text, as with `stop --json`
  speech-started
  speech-ended
  daemon-disconnected  coldvoxd has left the bus; without --start and --once the command waits for it
  daemon-connected     coldvoxd is back

With --start or --once, the exit code is 4 if the microphone was lost, 3 if coldvoxd exited, and 1 if another program
cancelled the session.
"""

_TRANSCRIBE = """\
Transcribe recordings: WAV, FLAC, OGG (Vorbis, Opus) or MP3, at any sample rate and with any number of channels. Channels
are averaged; if the average is much quieter than a channel that carries the speech, that channel is used instead.
--channel overrides this. Convert other formats with ffmpeg: `ffmpeg -i talk.mp4 -f wav - | coldvoxctl transcribe -`.

FILE is a file, a pipe such as <(...), or `-` for standard input. The content of a pipe is read into memory until its end,
up to 2 GiB, and then transcribed. A FIFO that no program has open for writing is rejected.

The daemon transcribes with the model that it has loaded; it is started if it is not running. Dictation has priority.
Concurrent commands are queued. Ctrl-C cancels. With --local, no daemon is needed.

A file that is damaged, truncated or not as long as its header says is transcribed as far as it can be decoded, and a
warning on stderr says where audio is missing.
"""

_RETRY = """\
Recognize the last dictated utterance again and print its text, for example after an error or after `coldvoxctl provider`.
If no words were recognized, stdout is empty, stderr says so, and the exit code is 0.
"""

_RELOAD = """\
Make the daemon reload its settings and its model without interrupting dictation. If the settings or the model are invalid,
the current ones stay in force and the error gives the reason.
"""

_PROVIDER = """\
Switch to another ONNX Runtime execution provider until the next reload or restart: `auto`, or one that
`coldvoxctl status` lists as available. If the provider cannot be used, the current one stays in use and the error gives
the reason.
"""

_METRICS = """\
Show counters and timings since the daemon was started. They reveal nothing of what was said. Does not start the daemon.
"""

_METRICS_JSON = """\
With --json, one object with the keys of the bus method GetMetrics: uptime, memory, model-load, utterances, ...;
gaps and sessions hold a number per reason; stages hold count, p50, p95 and p99 (seconds) per stage, and
stages-by-provider the same per execution provider; distributions hold a histogram per stage, with the bin edges in
distribution-edges (seconds); faults and fault-reasons count by class and code; gpu has memory and temperature.
"""

_TRANSCRIBE_JSON = """\
With --json, one object per line and file, in the order given:
  file, text, duration (seconds), confidence (0..1),
  words: a list of word, start, end (seconds), confidence (0..1)
  warnings: a list of sentences: where the file is damaged, and where its length differs from its header
A file that cannot be transcribed has file, error and message instead; the other files are still transcribed, and the exit
code is 1.

The bundled model `mini` is small, recognizes only a few words, and is meant for testing (`--model mini`).
"""

_MODEL = """\
Download, list and check models. NAME defaults to the model named in the settings.

Models are searched for in ~/.cache/coldvoxd/models, which is where `pull` stores them, in ~/.local/share/coldvoxd/models,
and below XDG_DATA_DIRS (/usr/local/share, /usr/share). A directory that you copy there works without any network access.
"""

_PULL = """\
Download a published model from its hub into ~/.cache/coldvoxd/models. If the model is already there, do nothing and do not
access the network.

An interrupted download is resumed. The size and hash of every file are checked, and the model becomes visible only when it
is complete. If the hub is busy or unreachable, the download is retried at growing intervals.

HF_ENDPOINT selects another hub, for example a mirror.
"""

_PULL_JSON = """\
With --json, one object per line, with `event`:
  progress  model, precision, state (starting, fetching, waiting, checking), fraction (0..1), bytes, total_bytes, message
  done      model, precision, path, fetched_bytes
"""

_PREPARE = """\
Build a prepared form of a model, which this machine's CPU maps instead of loading: optimized graphs and packed weights. It
opens in a fraction of the time and memory. It returns the same text; this is checked before it is used.

The prepared form takes up to twice the disk space of the model, in ~/.cache/coldvoxd/prepared and within `prepared_gb`
under [model]. Building it takes as much memory as the loaded model. It is valid for exactly these model files, this
version of ONNX Runtime and this CPU; if one of them changes, the model's own files are loaded until it is prepared again.
If the prepared form already exists, the command does nothing. coldvoxd-prepare.service builds it automatically after the
first start, unless `prepare` under [model] is false.

With `--precision fp16`, the precision for a GPU, or `int8`, if the model lacks that precision, it is first converted from
the fp32 files and checked with a recording. For a model of 2.5 GB this takes about a minute, 5 GB of memory for fp16 or
8 GB for int8, and the extra `prepare`: pip install 'coldvoxd[prepare]'.
"""

_LIST_JSON = """\
With --json, one object per line and model: name, path (null if it is published but not downloaded), precisions, bytes,
location (cache, data, system, bundled, or null), selected (whether the settings name it), prepared (a list of precision,
provider, bytes, up_to_date: whether it is valid for the current files, this ONNX Runtime and this CPU).
"""

_VERIFY_JSON = """\
With --json, one object: name, path, precisions, checked (number of files compared with the download),
hashes_known (false if you copied the directory there yourself: then only its structure is checked), problems.
The exit code is 1 if there are problems.
"""

_STATUS_JSON = """\
With --json, the fields state, session, model, precision, execution_provider, available_providers, usable_providers,
problems, degraded, progress, last_error and version, and for the microphone device, selection, open, policy, muted and
problem. They have the meaning of the bus properties.
"""

_DEVICES = """\
List the available microphones by the names that the sound settings show. The one in use is marked.
"""

_DEVICES_JSON = """\
With --json, one object: devices (a list of name, description and current), device, selection, open, policy, muted, problem.
"""

_DEVICE = """\
Switch to another microphone until the daemon exits: its name as `coldvoxctl devices` shows it, or part of that name.
`default` follows the desktop's default source. To keep a choice, set `device` under [microphone] in the settings.
"""


_DOCTOR = """\
Check everything that dictation needs, and report how to fix what is wrong: Python and packages, ONNX Runtime and the
provider that a session really gets, GPU, sound server and microphone (it records for one second), session bus, activation
file, unit, settings, model, disk. Works without a running daemon. A check that hangs is ended after its time limit.

The exit code is 0 if nothing is broken, otherwise 1. Warnings do not count.
"""

_DOCTOR_JSON = """\
With --json, one object per line and finding: part, verdict (ok, warn, fail), text, remedy.

The file written by --report is for a bug report: it has the findings, the settings that differ from their defaults, and
the unit's journal. Spoken text, home, user and host names, addresses and keys are removed. Read it before you attach it.
"""

_COMPLETION = """\
Print the completion script for a shell. Save it where the shell searches:
  coldvoxctl completion bash > ~/.local/share/bash-completion/completions/coldvoxctl
  coldvoxctl completion zsh > ~/.local/share/zsh/site-functions/_coldvoxctl    (a folder of $fpath)
  coldvoxctl completion fish > ~/.config/fish/completions/coldvoxctl.fish
"""

_SETUP = """\
Install the user service for this account: put the systemd user units, the bus activation, completions for bash, zsh and
fish, and the manual pages into your home directory, and start the service, now and at each login. Run this again after an
upgrade.

Not needed after contrib/install.sh, which runs it. --remove removes all of these; settings and models are kept unless
--purge is given. The package stays as well: remove it afterwards with `pipx uninstall coldvoxd`.
"""

_SETUP_JSON = """\
With --json: installed (paths) and started; with --remove: removed and kept (paths).
"""


_SHORTCUT = """\
Set up a desktop shortcut for dictation. `install` prints what it changes, changes nothing else, and refuses a key that is
already in use; `remove` reverts exactly those changes. --desktop defaults to the desktop named in XDG_CURRENT_DESKTOP.

  gnome      a custom shortcut in GNOME's settings (the coldvoxd extension has its own key)
  kde        a service file that Plasma 6 reads at the next login
  sway       a file included by one line in ~/.config/sway/config; with --hold, dictation also ends when another key is pressed
  hyprland   the same for ~/.config/hypr/hyprland.conf
  portal     GNOME 48 and Plasma 6: runs until it is stopped; the desktop asks you for two keys. One starts and stops
             dictation. The other dictates while it is held; a short press starts and stops dictation too
"""

_SHORTCUT_JSON = """\
With --json, one object: desktop, and installed, changes and applied, or removed (lists of lines); for portal: event, keys.
"""


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)
        self._action_max_length = 16  # argparse forgets that commands are indented


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageFault(f"{message}. See `{self.prog} --help`.")


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """What was asked for: `command`, `json` and the command's own. Raises UsageFault; exits for --help."""
    return command_line().parse_args(arguments)


def command_line() -> argparse.ArgumentParser:
    """The one source of --help, completions and manual page."""
    parser = _Parser(
        prog="coldvoxctl",
        description="Dictate with coldvoxd, and see what it is doing.",
        epilog=_MAIN,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("--json", action="store_true", help="print one JSON object per line; valid for every command")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=_Parser)

    start = _command(
        commands, "start", "start dictating", _START, f'With --json: {{"session": NUMBER}}.\n{_PROBLEM_JSON}'
    )
    _session_options(start)
    _from_key(start)
    start.add_argument("--private", action="store_true", help=argparse.SUPPRESS)
    start.add_argument("--bind", action="store_true", help=argparse.SUPPRESS)

    stop = _command(commands, "stop", "stop dictating and print the text", _STOP, _EMPTY_JSON)
    _from_key(stop)
    toggle = _command(
        commands,
        "toggle",
        "start or stop",
        "Start a session, or stop the active one without waiting for its text, which is sent to the listeners.\n",
        f'With --json: {{"active": true or false}}, whether a session was started.\n{_PROBLEM_JSON}',
    )
    _from_key(toggle)
    _command(
        commands,
        "cancel",
        "discard the session",
        "End the session and discard its audio and text. No further text of it is sent.\n",
        'With --json: {"cancelled": true}.',
    )
    _command(commands, "retry", "recognize the last utterance again", _RETRY, _EMPTY_JSON)
    _command(
        commands,
        "status",
        "show what the daemon is doing and what it runs on",
        "Show state, model, execution provider and the last error. Does not start the daemon.\n",
        _STATUS_JSON,
    )

    _command(commands, "metrics", "show counters and timings", _METRICS, _METRICS_JSON)
    _command(
        commands,
        "reload",
        "reload settings and model",
        _RELOAD,
        'With --json: {"reloaded": true, "awaiting_restart": []}.',
    )
    provider = _command(
        commands,
        "provider",
        "switch the execution provider",
        _PROVIDER,
        'With --json: {"execution_provider": NAME}, the provider now in use.',
    )
    provider.add_argument("provider", metavar="NAME", help="auto, cpu, cuda, ...")
    _command(commands, "devices", "list microphones", _DEVICES, _DEVICES_JSON)
    device = _command(
        commands, "device", "switch to another microphone", _DEVICE, 'With --json: {"device": DESCRIPTION}.'
    )
    device.add_argument("name", metavar="NAME", help="a microphone's name or part of it, or `default`")

    listen = _command(commands, "listen", "print texts as they are recognized", _LISTEN, _LISTEN_JSON)
    listen.add_argument("--once", action="store_true", help="exit when a session has ended")
    listen.add_argument("--start", action="store_true", help="start a session, and exit when it ends")
    _session_options(listen.add_argument_group("options for the session that --start starts"))
    listen.add_argument(
        "--private",
        action="store_true",
        help="with --start: only this command receives the texts and can stop the session",
    )

    transcribe = _command(commands, "transcribe", "transcribe recordings", _TRANSCRIBE, _TRANSCRIBE_JSON)
    transcribe.add_argument("files", nargs="+", metavar="FILE")
    transcribe.add_argument(
        "--channel",
        type=_channel,
        default="auto",
        metavar="C",
        help="auto, mix, left, right, or a channel number from 1 (default: auto)",
    )
    transcribe.add_argument("--local", action="store_true", help="recognize in this process, without the daemon")
    transcribe.add_argument("--model", metavar="NAME|PATH", help="with --local: a model's name or directory")
    transcribe.add_argument(
        "--precision", choices=("fp32", "fp16", "int8"), help="with --local: which precision of the model"
    )
    _model_commands(commands)

    doctor = _command(commands, "doctor", "check the installation, and report how to fix it", _DOCTOR, _DOCTOR_JSON)
    doctor.add_argument(
        "--report", type=Path, metavar="FILE", help="also write a file for a bug report, without personal data"
    )

    _shortcut(_command(commands, "shortcut", "set up a desktop shortcut for dictation", _SHORTCUT, _SHORTCUT_JSON))

    setup = _command(commands, "setup", "install the user service for this account", _SETUP, _SETUP_JSON)
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

    _config(_command(commands, "config", "show and check the settings", "Without an action: show.\n", ""))

    completion = _command(
        commands,
        "completion",
        "print the completion script for a shell",
        _COMPLETION,
        "With --json, the fields shell and script.\n",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    return parser


def _from_key(command: _Parser) -> None:
    command.add_argument(
        "--from-key",
        action="store_true",
        help="for a shortcut key: show errors as notifications; wait for the last session's text before starting",
    )


def _shortcut(shortcut: _Parser) -> None:
    actions = shortcut.add_subparsers(
        dest="shortcut_command", metavar="ACTION", title="actions", parser_class=_Parser, required=True
    )
    install = _command(actions, "install", "install a shortcut", "Print what is changed, and change it.\n", "")
    install.add_argument("--key", default="Super+Alt+D", metavar="KEY", help="the key; default Super+Alt+D")
    install.add_argument("--hold", action="store_true", help="dictate while the key is held (sway, hyprland)")
    install.add_argument("--dry-run", action="store_true", help="print the changes without making them")
    remove = _command(actions, "remove", "remove the shortcut", "Remove exactly what `install` added.\n", "")
    show = _command(actions, "show", "print the installed shortcut", "Read from the desktop's settings.\n", "")
    for action in (install, remove, show):
        action.add_argument("--desktop", choices=("gnome", "kde", "sway", "hyprland"), help="the desktop to configure")
    _command(actions, "held", "dictate until sway's key is released", "Run by the binding of `install --hold`.\n", "")
    _command(actions, "portal", "use shortcuts through the desktop's portal", "Runs until it is stopped.\n", "")


def _config(config: _Parser) -> None:
    actions = config.add_subparsers(dest="action", metavar="ACTION", title="actions", parser_class=_Parser)
    _command(
        actions,
        "show",
        "print the settings in force",
        "Print every setting as TOML, and its source if it is not the default.\n",
        'With --json, one object with keys such as "model.name".\n',
    )
    _command(actions, "path", "print the path of the settings file", "The file need not exist.\n", "")
    check = _command(
        actions, "check", "check the settings file and the environment", "Errors are reported with their line.\n", ""
    )
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="check this file instead of the default one")
    _command(actions, "example", "print a settings file with every key", "Each key has its default value.\n", "")
    get = _command(actions, "get", "print one setting in force", "Print only the value, for scripts.\n", "")
    get.add_argument("key", metavar="KEY", help="such as model.name")


def _model_commands(commands: "argparse._SubParsersAction[_Parser]") -> None:
    model = _command(commands, "model", "download, list and check models", _MODEL, _EXIT_CODES)
    actions = model.add_subparsers(dest="action", metavar="COMMAND", title="commands", parser_class=_Parser)
    pull = _command(actions, "pull", "download a model", _PULL, _PULL_JSON)
    pull.add_argument("name", nargs="?", metavar="NAME", help="a published model, such as parakeet-tdt-0.6b-v3")
    pull.add_argument("--precision", choices=("fp32", "int8"), help="fp32, or int8: a quarter of the size")
    pull.add_argument(
        "--tries", type=_count, metavar="N", help="give up after N consecutive failures without progress (default: 6)"
    )
    pull.add_argument("--progress-file", metavar="FILE", help=argparse.SUPPRESS)
    prepare = _command(
        actions,
        "prepare",
        "build a form of a model that is mapped instead of loaded",
        _PREPARE,
        'With --json: {"model": ..., "precision": ..., "path": ..., "bytes": NUMBER}.',
    )
    prepare.add_argument("name", nargs="?", metavar="NAME")
    prepare.add_argument(
        "--precision", choices=("fp32", "fp16", "int8"), help="default: the precision in the settings, otherwise fp32"
    )
    _command(actions, "list", "list models and their locations", "", _LIST_JSON)
    path = _command(actions, "path", "print a model's directory", "", 'With --json: {"name": ..., "path": ...}.')
    path.add_argument("name", nargs="?", metavar="NAME")
    verify = _command(
        actions,
        "verify",
        "check a model's files",
        "Read all files of a model and compare them with the hashes of the download.\n",
        _VERIFY_JSON,
    )
    verify.add_argument("name", nargs="?", metavar="NAME")
    remove = _command(
        actions,
        "remove",
        "delete a downloaded model",
        "Delete a model, and partial downloads of it, from ~/.cache/coldvoxd/models. Other models are not affected.\n",
        'With --json: {"removed": NAME, "bytes": NUMBER}.',
    )
    remove.add_argument("name", metavar="NAME")


def _command(
    commands: "argparse._SubParsersAction[_Parser]", name: str, summary: str, description: str, epilog: str
) -> _Parser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object per line")
    return parser


def _session_options(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument("--words", action="store_true", help="add word times to the texts (shown by listen --json)")
    parser.add_argument("--single-utterance", action="store_true", help="stop automatically when the speaker pauses")
    parser.add_argument("--max-seconds", type=_seconds, metavar="N", help="stop automatically after N seconds")


def _channel(text: str) -> str:
    try:
        return channels.canonical(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from fault


def _count(text: str) -> int:
    count = int(text) if text.isdecimal() else 0
    if not 0 < count <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000")
    return count


def _seconds(text: str) -> int:
    seconds = int(text) if text.isdecimal() else 0
    if not 0 < seconds < 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds greater than 0")
    return seconds
