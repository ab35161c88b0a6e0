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
  coldvoxctl listen                       print what is dictated, as it is recognized
  coldvoxctl listen --start --private     dictate here, readable by nobody else
  coldvoxctl transcribe talk.ogg          recognize a recording
  coldvoxctl model pull                   fetch the model that the settings name

{_EXIT_CODES}

Errors are told in one sentence on stderr; with --json as {{"error": NAME, "message": ...}} there.
"""

_START = """\
Begin to dictate. Anybody in this session may stop it; the texts come to `coldvoxctl listen` and to every other client.
The daemon is started where it isn't running.

For a session of your own, which ends with the command, see `coldvoxctl listen --start`.
"""

_STOP = """\
Finish what is being said, wait for its text and print the text of the whole session.

Where no words were recognized, stdout stays empty, stderr says why as far as that is known, and the exit code is 0: the
session has ended as it was told to.
"""

_EMPTY_JSON = """\
With --json: {"transcript": TEXT}. Where TEXT is empty, empty_reason says why, and message is a sentence for a person:
  no-words          speech was heard, and no words were recognized in it
  no-speech         no speech was heard
  microphone-muted, microphone-lost, microphone-quiet
                    the problem of the microphone, as in `problems` of `coldvoxctl status --json`
  unknown           the daemon did not say
"""

_PROBLEM_JSON = """\
Where nothing can be heard, problem (microphone-muted or microphone-lost) and message say why; without --json, stderr does.
"""

_LISTEN = """\
Print each text as it is recognized, one a line, until interrupted with Ctrl-C. Where a session gave no text, stderr says
why as far as that is known.

With --start begin a session, print its texts and end with it; Ctrl-C finishes it and prints the last text, a second
Ctrl-C throws it away. The session is bound to this command: it ends when the command ends, however that comes.
"""

_LISTEN_JSON = """\
With --json one object a line, with `event` and, where it belongs to a session, `session`:
  listening            first of all without --start: nothing that happens from now on is missed
  transcribed          utterance, text, start, end, confidence, provider, latency, retried; words with --words
  started
  stopped              reason, transcript; empty_reason and message where the session gave no text, as with `stop --json`
  speech-started
  speech-ended
  daemon-disconnected  coldvoxd has left the bus; without --start and --once it is waited for
  daemon-connected     it is back

With --start or --once the exit code is 4 where the microphone was lost, 3 where coldvoxd ended, 1 where the session
was cancelled by somebody.
"""

_TRANSCRIBE = """\
Recognize recordings: WAV, FLAC, OGG (Vorbis, Opus) or MP3, at any sample rate and with any number of channels. Channels
are averaged; where their average is far below a channel that holds the speech, that channel is taken. --channel decides
otherwise. Other formats go through ffmpeg: `ffmpeg -i talk.mp4 -f wav - | coldvoxctl transcribe -`.

FILE is a file, a pipe such as <(...), or `-` for standard input. What comes through a pipe is held in memory, 2 GiB at
most, until its end, and then recognized. A FIFO that no program has open for writing is refused.

The daemon does it, with the model that it has loaded, and is started where it isn't running; dictation goes first.
Several commands at once wait for their turn. Ctrl-C ends it. With --local no daemon is needed.

A file that is damaged, cut off or not as long as its header says is recognized as far as it can be decoded, and a
warning on stderr says where something is missing.
"""

_RETRY = """\
Recognize the last utterance of dictation again and print its text: after an error, or after `coldvoxctl provider`.
Where no words were recognized, stdout stays empty, stderr says so, and the exit code is 0.
"""

_RELOAD = """\
Let the daemon read its settings and load its model again, without a pause in dictation. Where something is wrong with
them the old ones stay, and the error says what.
"""

_PROVIDER = """\
Let the daemon recognize on another ONNX Runtime execution provider, until the next reload or start: `auto`, or one of
those that `coldvoxctl status` shows as available. Where it can't be had the old one stays, and the error says why.
"""

_METRICS = """\
Show what the daemon has counted and timed since its start, none of which tells what was said. Doesn't start the daemon.
"""

_METRICS_JSON = """\
With --json one object, whose names are those of the bus method GetMetrics: uptime, memory, model-load, utterances, ...;
gaps and sessions hold a number for each reason; stages hold for each stage count, p50, p95 and p99 (seconds),
stages-by-provider the same for each execution provider; distributions hold for each stage how many runs fell into each
class of distribution-edges (seconds); faults and fault-reasons count by class and code; gpu has memory and temperature.
"""

_TRANSCRIBE_JSON = """\
With --json one object a line for each file, in the order given:
  file, text, duration (seconds), confidence (0..1),
  words: a list of word, start, end (seconds), confidence (0..1)
  warnings: a list of sentences: where the file is damaged, and where its length is not what its header says
A file that can't be transcribed has file, error and message instead; the others go on, and the exit code is 1.

The bundled model `mini` is small and knows just a few words: it is for trials (`--model mini`).
"""

_MODEL = """\
Fetch models, and see which are there. Without NAME, the model that the settings name.

Models are looked for in ~/.cache/coldvoxd/models, where `pull` puts them, in ~/.local/share/coldvoxd/models, and below
XDG_DATA_DIRS (/usr/local/share, /usr/share); directories placed there by hand work without any network.
"""

_PULL = """\
Fetch a published model from its hub into ~/.cache/coldvoxd/models. Does nothing, and asks no network, where it is there.

A fetch that was cut, interrupted or killed is taken up where it ended. Every file's size and hash is checked, and the
model appears complete or not at all. A hub that is busy or out of reach is tried again, less and less often.

HF_ENDPOINT names another hub, a mirror for example.
"""

_PULL_JSON = """\
With --json one object a line, with `event`:
  progress  model, precision, state (starting, fetching, waiting, checking), fraction (0..1), bytes, total_bytes, message
  done      model, precision, path, fetched_bytes
"""

_PREPARE = """\
Write a form of a model that this machine's CPU maps instead of loading: its graphs optimized, its weights packed. It is
loaded in a fraction of the time and of the memory, and gives the same text, which is tried before the form counts.

It takes up to twice as much of the disk as the model, in ~/.cache/coldvoxd/prepared, within `prepared_gb` under [model],
and the memory of the loaded model while it is made. It fits the model's very files, this version of ONNX Runtime and this
CPU; where one of them changes the files themselves are loaded, until it is prepared again. Does nothing where it is there.
coldvoxd-prepare.service does this by itself after a first start, unless `prepare` under [model] is off.

With `--precision fp16`, which is what a GPU wants, or `int8` where that isn't there, the model is first made in it of its fp32
files, and tried with a recording before it counts. For a model of 2.5 GB that takes a minute and some 5 GB of memory for
fp16, 8 GB for int8, and the extra `prepare`: pip install 'coldvoxd[prepare]'.
"""

_LIST_JSON = """\
With --json one object a line for each model: name, path (null where it is published and not here), precisions, bytes,
location (cache, data, system, bundled, or null), selected (whether the settings name it), prepared (a list of precision,
provider, bytes, up_to_date: whether it is for the files as they are, this ONNX Runtime and this CPU).
"""

_VERIFY_JSON = """\
With --json one object: name, path, precisions, checked (files read and compared with what was fetched),
hashes_known (false where the directory was placed by hand: then its structure alone is checked), problems.
Exit code 1 where there are problems.
"""

_STATUS_JSON = """\
With --json the fields state, session, model, precision, execution_provider, available_providers, usable_providers,
problems, degraded, progress, last_error and version, and of the microphone: device, selection, open, policy, muted and problem; their meanings are those of
the bus properties.
"""

_DEVICES = """\
List the microphones there are, by the names that the sound settings show; the one in use is marked.
"""

_DEVICES_JSON = """\
With --json one object: devices, a list of name, description and current; and device, selection, open, policy, muted, problem.
"""

_DEVICE = """\
Use another microphone from now on, until the daemon ends: its name as `coldvoxctl devices` shows it, or a part of it;
`default` follows the desktop's default source. To keep a choice, set `device` under [microphone] in the settings.
"""


_DOCTOR = """\
Look at everything that dictation needs, and say how to mend what is wrong: Python and packages, ONNX Runtime and the
provider that a session really gets, GPU, sound server and microphone (it listens for a second), session bus, activation
file, unit, settings, model, disk. Works without a running daemon; a part that hangs is given up after its time limit.

Exit code 0 where nothing is broken, 1 otherwise; warnings don't count.
"""

_DOCTOR_JSON = """\
With --json one object a line for each finding: part, verdict (ok, warn, fail), text, remedy.

The file of --report is for a bug report: the findings, the settings that differ from the defaults, and the unit's journal,
without spoken text, home, user and host names, addresses and keys. Read it before you attach it.
"""

_COMPLETION = """\
Print completions for a shell, to be kept where it looks for them:
  coldvoxctl completion bash > ~/.local/share/bash-completion/completions/coldvoxctl
  coldvoxctl completion zsh > ~/.local/share/zsh/site-functions/_coldvoxctl    (a folder of $fpath)
  coldvoxctl completion fish > ~/.config/fish/completions/coldvoxctl.fish
"""

_SETUP = """\
Make this installation a service of yours: put the systemd user units, the bus activation, completions for bash, zsh and
fish, and manual pages into your home, and start the service, now and at each login. Run it again after an upgrade.

Not needed after contrib/install.sh, which does it. With --remove all of that is taken away; settings and models stay,
unless --purge is given, and so does the package: `pipx uninstall coldvoxd` removes that afterwards.
"""

_SETUP_JSON = """\
With --json: installed (paths) and started; with --remove: removed and kept (paths).
"""


_SHORTCUT = """\
A key of the desktop that dictates. `install` says what it changes, touches nothing else, and refuses a key that is taken;
`remove` takes back exactly that. --desktop is found by itself where XDG_CURRENT_DESKTOP tells it.

  gnome      a custom shortcut in GNOME's settings (the extension of coldvoxd has a key of its own)
  kde        a service file that Plasma 6 reads at the next login
  sway       a file that one line of ~/.config/sway/config includes; --hold too, which ends when another key is pressed
  hyprland   the same for ~/.config/hypr/hyprland.conf
  portal     GNOME 48 and Plasma 6: runs until it is stopped; the desktop asks you for the keys. One starts and stops; the
             other dictates while it is held, and tapped it starts and stops too
"""

_SHORTCUT_JSON = """\
With --json one object: desktop, and installed, changes and applied, or removed (lists of lines); of portal: event, keys.
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
        description="Dictate with coldvoxd, and see what it does.",
        epilog=_MAIN,
        formatter_class=_Help,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line; for every command")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=_Parser)

    start = _command(
        commands, "start", "begin to dictate", _START, f'With --json: {{"session": NUMBER}}.\n{_PROBLEM_JSON}'
    )
    _session_options(start)
    _from_key(start)
    start.add_argument("--private", action="store_true", help=argparse.SUPPRESS)
    start.add_argument("--bind", action="store_true", help=argparse.SUPPRESS)

    stop = _command(commands, "stop", "finish, and print the text", _STOP, _EMPTY_JSON)
    _from_key(stop)
    toggle = _command(
        commands,
        "toggle",
        "start or stop",
        "Start where no session is active, otherwise stop it without waiting for its text, which goes to listeners.\n",
        f'With --json: {{"active": true or false}}, whether a session has begun.\n{_PROBLEM_JSON}',
    )
    _from_key(toggle)
    _command(
        commands,
        "cancel",
        "throw the session away",
        "End the session; nothing more is told of it, and nothing of it is kept.\n",
        'With --json: {"cancelled": true}.',
    )
    _command(commands, "retry", "recognize the last utterance again", _RETRY, _EMPTY_JSON)
    _command(
        commands,
        "status",
        "show what the daemon does and what it runs on",
        "Show state, model, execution provider and the last error. Doesn't start the daemon.\n",
        _STATUS_JSON,
    )

    _command(commands, "metrics", "show counters and times", _METRICS, _METRICS_JSON)
    _command(
        commands,
        "reload",
        "read settings and model again",
        _RELOAD,
        'With --json: {"reloaded": true, "awaiting_restart": []}.',
    )
    provider = _command(
        commands,
        "provider",
        "recognize on another execution provider",
        _PROVIDER,
        'With --json: {"execution_provider": NAME}, what runs now.',
    )
    provider.add_argument("provider", metavar="NAME", help="auto, cpu, cuda, ...")
    _command(commands, "devices", "list microphones", _DEVICES, _DEVICES_JSON)
    device = _command(commands, "device", "use another microphone", _DEVICE, 'With --json: {"device": DESCRIPTION}.')
    device.add_argument("name", metavar="NAME", help="a microphone's name or part of it, or `default`")

    listen = _command(commands, "listen", "print texts as they come", _LISTEN, _LISTEN_JSON)
    listen.add_argument("--once", action="store_true", help="end when a session has ended")
    listen.add_argument("--start", action="store_true", help="begin a session, and end with it")
    _session_options(listen.add_argument_group("options of the session that --start begins"))
    listen.add_argument(
        "--private", action="store_true", help="with --start: only this command gets the texts and can stop the session"
    )

    transcribe = _command(commands, "transcribe", "recognize recordings", _TRANSCRIBE, _TRANSCRIBE_JSON)
    transcribe.add_argument("files", nargs="+", metavar="FILE")
    transcribe.add_argument(
        "--channel",
        type=_channel,
        default="auto",
        metavar="C",
        help="auto, mix, left, right, or a channel's number from 1 (auto where it isn't given)",
    )
    transcribe.add_argument("--local", action="store_true", help="recognize in this process, without the daemon")
    transcribe.add_argument("--model", metavar="NAME|PATH", help="with --local: a model's name or directory")
    transcribe.add_argument(
        "--precision", choices=("fp32", "fp16", "int8"), help="with --local: which of the model's files"
    )
    _model_commands(commands)

    doctor = _command(commands, "doctor", "find what is wrong, and how to mend it", _DOCTOR, _DOCTOR_JSON)
    doctor.add_argument(
        "--report", type=Path, metavar="FILE", help="also write a file for a bug report, with no names in it"
    )

    _shortcut(_command(commands, "shortcut", "a key of the desktop that dictates", _SHORTCUT, _SHORTCUT_JSON))

    setup = _command(commands, "setup", "make this installation a service of yours", _SETUP, _SETUP_JSON)
    setup.add_argument("--cpu", action="store_true", help="add the locks for machines without a GPU to the service")
    setup.add_argument(
        "--typing",
        action="store_true",
        help="also type what is dictated into the window that has the focus (coldvox-type)",
    )
    setup.add_argument("--no-start", action="store_true", help="put everything in place, and start nothing")
    setup.add_argument("--bin", type=Path, metavar="DIR", help="where coldvoxd is; found by itself as a rule")
    setup.add_argument("--remove", action="store_true", help="take all of it away")
    setup.add_argument("--purge", action="store_true", help="with --remove: settings and models too")

    _config(_command(commands, "config", "show and check the settings", "Without an action: show.\n", ""))

    completion = _command(
        commands,
        "completion",
        "print completions for a shell",
        _COMPLETION,
        "With --json the fields shell and script.\n",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"))
    return parser


def _from_key(command: _Parser) -> None:
    command.add_argument(
        "--from-key",
        action="store_true",
        help="for a shortcut key: show an error as a notification; wait for the text of the last session before starting",
    )


def _shortcut(shortcut: _Parser) -> None:
    actions = shortcut.add_subparsers(
        dest="shortcut_command", metavar="ACTION", title="actions", parser_class=_Parser, required=True
    )
    install = _command(actions, "install", "put a key in place", "Say what is changed, and change it.\n", "")
    install.add_argument("--key", default="Super+Alt+D", metavar="KEY", help="Super+Alt+D where it isn't given")
    install.add_argument("--hold", action="store_true", help="dictate while the key is held (sway, hyprland)")
    install.add_argument("--dry-run", action="store_true", help="say what would be changed, and change nothing")
    remove = _command(actions, "remove", "take it back", "What was put in place goes, and nothing else.\n", "")
    show = _command(actions, "show", "print which key is in place", "As the desktop's settings have it.\n", "")
    for action in (install, remove, show):
        action.add_argument("--desktop", choices=("gnome", "kde", "sway", "hyprland"), help="which desktop's keys")
    _command(actions, "held", "dictate until sway's key is released", "Run by the binding of `install --hold`.\n", "")
    _command(actions, "portal", "have keys by the desktop's portal", "Runs until it is stopped.\n", "")


def _config(config: _Parser) -> None:
    actions = config.add_subparsers(dest="action", metavar="ACTION", title="actions", parser_class=_Parser)
    _command(
        actions,
        "show",
        "print the settings in force",
        "Print every setting as TOML, and where it comes from unless that is the default.\n",
        'With --json one object, with keys such as "model.name".\n',
    )
    _command(actions, "path", "print where the settings file is", "The file need not exist.\n", "")
    check = _command(
        actions, "check", "check the settings file and the environment", "A mistake is told with its line.\n", ""
    )
    check.add_argument("file", nargs="?", type=Path, metavar="FILE", help="another file than the usual")
    _command(actions, "example", "print a settings file with every key", "Each key stands at its default.\n", "")
    get = _command(actions, "get", "print one setting in force", "The value alone, for scripts.\n", "")
    get.add_argument("key", metavar="KEY", help="such as model.name")


def _model_commands(commands: "argparse._SubParsersAction[_Parser]") -> None:
    model = _command(commands, "model", "fetch models, and see which are there", _MODEL, _EXIT_CODES)
    actions = model.add_subparsers(dest="action", metavar="COMMAND", title="commands", parser_class=_Parser)
    pull = _command(actions, "pull", "fetch a model", _PULL, _PULL_JSON)
    pull.add_argument("name", nargs="?", metavar="NAME", help="a published model, such as parakeet-tdt-0.6b-v3")
    pull.add_argument("--precision", choices=("fp32", "int8"), help="fp32, or int8: a quarter of the size")
    pull.add_argument(
        "--tries", type=_count, metavar="N", help="give up after N failures in a row that brought nothing (6)"
    )
    pull.add_argument("--progress-file", metavar="FILE", help=argparse.SUPPRESS)
    prepare = _command(
        actions,
        "prepare",
        "write a form of a model that is mapped instead of loaded",
        _PREPARE,
        'With --json: {"model": ..., "precision": ..., "path": ..., "bytes": NUMBER}.',
    )
    prepare.add_argument("name", nargs="?", metavar="NAME")
    prepare.add_argument(
        "--precision", choices=("fp32", "fp16", "int8"), help="the one that the settings name, otherwise fp32"
    )
    _command(actions, "list", "show which models are there, and where", "", _LIST_JSON)
    path = _command(actions, "path", "print a model's directory", "", 'With --json: {"name": ..., "path": ...}.')
    path.add_argument("name", nargs="?", metavar="NAME")
    verify = _command(
        actions,
        "verify",
        "check a model's files",
        "Read all files of a model and compare them with what was fetched.\n",
        _VERIFY_JSON,
    )
    verify.add_argument("name", nargs="?", metavar="NAME")
    remove = _command(
        actions,
        "remove",
        "delete a fetched model",
        "Delete a model from ~/.cache/coldvoxd/models, and what an unfinished fetch left of it. Others are left alone.\n",
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
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object a line")
    return parser


def _session_options(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument("--words", action="store_true", help="texts carry word times (seen with listen --json)")
    parser.add_argument("--single-utterance", action="store_true", help="stop by itself when the speaker pauses")
    parser.add_argument("--max-seconds", type=_seconds, metavar="N", help="stop by itself after N seconds")


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
