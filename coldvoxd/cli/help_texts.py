"""The long texts of coldvoxctl's --help and of its manual page: descriptions and epilogs of the commands."""

from coldvoxd.cli.exit_codes import MEANINGS

EXIT_CODES = "exit codes:\n" + "\n".join(f"  {code.value:<4} {meaning}" for code, meaning in MEANINGS.items())

MAIN = f"""\
examples:
  coldvoxctl toggle --from-key            start or stop; for a shortcut key
  coldvoxctl listen                       print each text as it is recognized
  coldvoxctl listen --start --private     dictate to this terminal only
  coldvoxctl transcribe talk.ogg          recognize a recording
  coldvoxctl model pull                   download the model named in the settings

{EXIT_CODES}

Errors are printed to stderr, with what to do about them; with --json as {{"error": NAME, "message": ...}}.
"""

START = """\
Start a dictation session. Any program of this login may stop it. Its texts are sent to `coldvoxctl listen` and to every
other client. Starts the daemon if it is not running.

For a session that ends with the command, see `coldvoxctl listen --start`.
"""

STOP = """\
Stop the session, wait for its last text, and print the text of the whole session.

If no words were recognized, stdout is empty, stderr gives the reason if it is known, and the exit code is 0, because the
session was stopped as requested. If some of its audio was lost, stderr says so.
"""

EMPTY_JSON = """\
With --json: {"transcript": TEXT}. If TEXT is empty, empty_reason is one of the following codes, and message is a sentence:
  no-words          speech was heard, and no words were recognized in it
  no-speech         no speech was heard
  microphone-muted, microphone-lost, microphone-quiet
                    a problem of the microphone, as in `problems` of `coldvoxctl status --json`
  unknown           the daemon gave no reason
"""

STOP_JSON = f"""\
{EMPTY_JSON}If audio of the session was lost, audio_lost is true.
"""

PROBLEM_JSON = """\
If no audio can be received, problem (microphone-muted or microphone-lost) and message give the reason; without --json,
stderr does.
"""

LISTEN = """\
Print each text as it is recognized, one per line, until interrupted with Ctrl-C. If a session returns no text, stderr
gives the reason if it is known. If audio of a session was lost, stderr says so.

With --partials, also print the words of an utterance while it is being spoken, for sessions that were started with --partials or
if the setting `partials` is on. On a terminal they are one line, which is rewritten until the text replaces it; words that may still
change are dim. Otherwise each time a line is printed: `~ `, the words that no longer change, ` | `, and those that may; `~ |` if there are
none after all.

With --alternatives, other texts that the model finds less probable are printed below each text, indented: the share of their
probability in that of all texts that the search ended with, then the text. Models without such a search (CTC) and fallback engines have none.

With --start, start a session, print its texts and exit when it ends. Ctrl-C stops the session and prints the last text; a
second Ctrl-C discards it. The session is bound to this command: it is cancelled if the command exits or is killed.
"""

LISTEN_JSON = """\
With --json, one object per line, with `event` and, if the event belongs to a session, `session`:
  listening            the first event without --start: no later event is missed
  transcribed          utterance, text, start, end, confidence, provider, latency, retried; body, pending, seam: the text for
                       programs that write one utterance after another, as in the signal Transcribed of the bus; words
                       (word, start, end, confidence) with --words; alternatives (text, share) with --alternatives, if there are any
  sentence-closed      utterance: the sentence of this text is over, and pending is due
  partial-transcribed  utterance, stable, unstable; only with --partials
  started
  stopped              reason, transcript; empty_reason and message if the session returned no text, and audio_lost if audio
                       of it was lost, as with `stop --json`
  speech-started
  speech-ended
  daemon-disconnected  coldvoxd has left the bus; without --start and --once the command waits for it
  daemon-connected     coldvoxd is back

With --start or --once, the exit code is 4 if the microphone was lost, 3 if coldvoxd exited, and 1 if another program
cancelled the session.
"""

TRANSCRIBE = """\
Transcribe recordings at any sample rate and with any number of channels: WAV, FLAC, OGG (Vorbis, Opus) and MP3, and with the
extra `media` (PyAV) every format that ffmpeg reads: M4A, MP4, WebM, AMR, WMA, videos, ... Of several audio tracks the
default one is transcribed, otherwise the first.

Channels are averaged; if the average is much quieter than a channel that carries the speech, that channel is used instead.
--channel overrides this. --language names the language that is spoken, for models of several languages.

FILE is a file, a folder, a pipe such as <(...), or `-` for standard input. Of a folder its files are transcribed by name, with
--recursive also those in its folders, but no hidden ones. A file is skipped, with a line on stderr, if it has no audio and
its name has no suffix of a recording.

With PyAV a pipe of any length is transcribed as it comes. Without it, or if the format needs its end first (some MP4 files),
its content is kept in memory, up to 2 GiB. A FIFO that no program has open for writing is rejected.

The daemon transcribes with the model that it has loaded; it is started if it is not running. Dictation has priority.
Concurrent commands are queued. Ctrl-C cancels. With --local, no daemon is needed.

--format srt and vtt write subtitles: at most two lines of 42 characters, and 7 s. --output writes each transcript whole or
not at all: to a file, whose suffix (.txt, .json, .srt, .vtt) selects the format if --format does not, or into a folder, as
talk.srt for talk.mp4. A file that exists is an error, unless --force; in a folder its recording is left out, so that an
interrupted command can be repeated. A recording is never replaced.

A file that is damaged, truncated or not as long as its header says is transcribed as far as it can be decoded, and a
warning on stderr says where audio is missing.
"""

RETRY = """\
Recognize the last dictated utterance again and print its text, for example after an error, after `coldvoxctl provider`, or in another
language with --language.
If no words were recognized, stdout is empty, stderr says so, and the exit code is 0.
"""

RELOAD = """\
Make the daemon reload its settings and its model without interrupting dictation. If the settings or the model are invalid,
the current ones stay in force and the error gives the reason.
"""

PROVIDER = """\
Switch to another ONNX Runtime execution provider until the next reload or restart: `auto`, or one that
`coldvoxctl status` lists as available. If the provider cannot be used, the current one stays in use and the error gives
the reason.
"""

METRICS = """\
Show counters and timings since the daemon was started. They reveal nothing of what was said. Does not start the daemon.
"""

METRICS_JSON = """\
With --json, one object with the keys of the bus method GetMetrics: uptime, memory, model-load, utterances, ...;
gaps and sessions hold a number per reason; stages hold count, p50, p95 and p99 (seconds) per stage, and
stages-by-provider the same per execution provider; distributions hold a histogram per stage, with the bin edges in
distribution-edges (seconds); faults and fault-reasons count by class and code; gpu has memory and temperature.
"""

TRANSCRIBE_JSON = """\
With --json, one object per line and file, in the order given:
  file, text, duration (seconds), confidence (0..1),
  words: a list of word, start, end (seconds), confidence (0..1)
  warnings: a list of sentences: where the file is damaged, and where its length differs from its header
  track: for a file that PyAV decodes: number (from 1), count, codec and language of the audio track
With --output the objects are in the files, and stdout has file and output (its path). A file that cannot be transcribed has file, error and message instead; the other files are still transcribed, and the exit
code is 1.

The bundled model `mini` is small, recognizes only a few words, and is meant for testing (`--model mini`).
"""

MODEL = """\
Download, list and check models. NAME defaults to the model named in the settings.

Models are searched for in ~/.cache/coldvoxd/models, which is where `pull` stores them, in ~/.local/share/coldvoxd/models,
and below XDG_DATA_DIRS (/usr/local/share, /usr/share). A directory that you copy there works without any network access.
"""

MODEL_CODES = """\
The exit codes are those of `coldvoxctl --help`.
"""

LIST = """\
List the models that are downloaded or bundled and those that can be downloaded, with their precisions, sizes and locations.
The one that the settings name is marked.
"""

PULL = """\
Download a published model from its hub into ~/.cache/coldvoxd/models. If the model is already there, do nothing and do not
access the network.

An interrupted download is resumed. The size and hash of every file are checked, and the model becomes visible only when it
is complete. If the hub is busy or unreachable, the download is retried at growing intervals.

The settings name the model that the daemon uses; --use writes NAME there and makes a running daemon load it.

HF_ENDPOINT selects another hub, for example a mirror.
"""

SET = """\
Write a setting into ~/.config/coldvoxd/coldvoxd.toml, check the file, and make a running daemon reload it. Comments and
other settings stay as they are. An invalid value changes nothing. `coldvoxctl config example` explains each setting.
"""

SET_JSON = """\
With --json: {"written": {KEY: VALUE}, "path": ...}, and the object of `coldvoxctl reload --json` if the daemon runs.
"""

PULL_JSON = """\
With --json, one object per line, with `event`:
  progress  model, precision, state (starting, fetching, waiting, checking), fraction (0..1), bytes, total_bytes, message
  done      model, precision, path, fetched_bytes
"""

PREPARE = """\
Prepare a model for this machine's CPU: optimized graphs and packed weights, which are mapped into memory instead of loaded.
The model then opens in a fraction of the time and memory. It returns the same text; this is checked before it is used.

The prepared form takes up to twice the disk space of the model, in ~/.cache/coldvoxd/prepared and within `prepared_gb`
under [model]. Building it takes as much memory as the loaded model. It is valid for exactly these model files, this
version of ONNX Runtime and this CPU; if one of them changes, the model's own files are loaded until it is prepared again.
If the prepared form already exists, the command keeps it; with `--again` it removes it first, for example because it may be
damaged. coldvoxd-prepare.service builds it automatically after the first start, unless `prepare` under [model] is false.

With `--precision fp16`, the precision for a GPU, or `int8`, if the model lacks that precision, it is first converted from
the fp32 files and checked with a recording. For a model of 2.5 GB this takes about a minute, 5 GB of memory for fp16 or
8 GB for int8, and the packages of the extra `prepare` (onnx, packaging).
"""

LIST_JSON = """\
With --json, one object per line and model: name, path (null if it is published but not downloaded), precisions, bytes,
location (cache, data, system, bundled, or null), selected (whether the settings name it), prepared (a list of precision,
provider, bytes, up_to_date: whether it is valid for the current files, this ONNX Runtime and this CPU).
"""

VERIFY_JSON = """\
With --json, one object: name, path, precisions, checked (the files that were compared with known hashes),
hashes_known (false at the first check of a directory that you copied there yourself: its hashes are recorded then), problems.
The exit code is 1 if there are problems.
"""

STATUS_JSON = """\
With --json, the fields state, session, model, precision, execution_provider, provider, provider_device, provider_note,
available_providers, usable_providers, problems, degraded, capabilities, languages, language, progress, last_error, awaiting_restart and version, and for the
microphone device, selection, open, policy, muted and problem. They have the meaning of the bus properties; session_language is that of the active session, `auto` or a code.
"""

DEVICES = """\
List the available microphones by the names that the sound settings show. The one in use is marked.
"""

DEVICES_JSON = """\
With --json, one object: devices (a list of name, description and current), device, selection, open, policy, muted, problem.
"""

DEVICE = """\
Switch to another microphone until the daemon exits: its name as `coldvoxctl devices` shows it, or part of that name.
`default` follows the desktop's default source. The command ends once the microphone is in use. It does not start the
daemon. To keep a choice, use `coldvoxctl config set microphone.device NAME`.
"""


DOCTOR = """\
Check everything that dictation needs, and report how to fix what is wrong: Python and packages, ONNX Runtime and the
provider that a session really gets, GPU, sound server and microphone (it records for one second), session bus, activation
file, unit, settings, model, disk. Works without a running daemon. A check that hangs is ended after its time limit.

The exit code is 0 if nothing is broken, otherwise 1. Warnings do not count.
"""

DOCTOR_JSON = """\
With --json, one object per line and finding: part, verdict (ok, warn, fail), text, remedy.

The file written by --report is for a bug report: it has the findings, the settings that differ from their defaults, and
the unit's journal. Spoken text, home, user and host names, addresses and keys are removed. Read it before you attach it.
"""

COMPLETION = """\
Print the completion script for a shell. Save it where the shell searches, for zsh in a folder of $fpath:
  coldvoxctl completion bash > ~/.local/share/bash-completion/completions/coldvoxctl
  coldvoxctl completion zsh > ~/.local/share/zsh/site-functions/_coldvoxctl
  coldvoxctl completion fish > ~/.config/fish/completions/coldvoxctl.fish
"""

SETUP = """\
Install the user service for this account: put the systemd user units, the bus activation, completions for bash, zsh and
fish, and the manual pages into your home directory, and start the service, now and at each login. Run this again after an
upgrade.

Not needed after contrib/install.sh, which runs it. --remove removes all of these; settings and models are kept unless
--purge is given. The package stays as well: remove it afterwards with `pipx uninstall coldvoxd`.
"""

SETUP_JSON = """\
With --json: installed (paths) and started; with --remove: removed and kept (paths).
"""


SHORTCUT = """\
Set up a desktop shortcut for dictation. `install` prints what it changes, changes nothing else, and refuses a key that is
already in use; `remove` reverts exactly those changes. --desktop defaults to the desktop named in XDG_CURRENT_DESKTOP.

  gnome      a custom shortcut in GNOME's settings (the coldvoxd extension has its own key)
  kde        a service file that Plasma 6 reads at the next login
  sway       a file included by one line in ~/.config/sway/config; with --hold, dictation also ends when another key is pressed
  hyprland   the same for ~/.config/hypr/hyprland.conf
  portal     GNOME 48 and Plasma 6: runs until it is stopped; the desktop asks you for two keys. One starts and stops
             dictation. The other dictates while it is held; a short press starts and stops dictation too

On other desktops, such as XFCE, Cinnamon, MATE, i3, labwc or COSMIC, `install` says what to bind where.
"""

PORTAL = """\
Ask the desktop for two keys, and dictate with them until this command is stopped. After `coldvoxctl setup`,
`systemctl --user enable --now coldvoxd-keys` runs it at each login; `systemctl --user edit coldvoxd-keys` adds options.
"""

SHORTCUT_JSON = """\
With --json, one object: desktop, and installed, changes and applied, or removed (lists of lines); for portal: event, keys.
"""
