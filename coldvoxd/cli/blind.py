"""The command evaluate with --blind: a person hears clips and chooses between two texts."""

import sys
from argparse import Namespace
from pathlib import Path

from coldvoxd.cli.evaluation_audio import read
from coldvoxd.cli.exit_codes import Exit, UsageFault
from coldvoxd.cli.output import Output, json_line
from coldvoxd.cli.player import Player
from coldvoxd.cli.report_files import Reports
from coldvoxd.cli.transcript_files import check
from coldvoxd.core.channels import Channel
from coldvoxd.core.errors import ColdvoxError, InvalidOption
from coldvoxd.core.visible_text import visible
from coldvoxd.evaluate import blind, report
from coldvoxd.evaluate.blind import Choice, Question
from coldvoxd.evaluate.clips import Clip

HELP = "1 or 2: that text is better; = they are equally good; r hear it again; q quit"
_CHANNEL = Channel("auto")


def compare_blindly(arguments: Namespace, output: Output) -> Exit:
    """Ask for each clip, and report the answers. Raises ColdvoxError."""
    if arguments.place is not None:
        raise UsageFault("--blind takes two reports and no DIRECTORY.")
    for file in arguments.output:
        if file.suffix.lower() != ".json":
            raise UsageFault(f"--output {file}: with --blind its suffix must be .json.")
        check(file, force=arguments.force)
    runs = [_run(text) for text in arguments.blind]
    asked, same = blind.questions(runs[0][1], runs[1][1], arguments.at_most, arguments.seed)
    if not asked:
        output.result({"same_text": same}, f"All {same} recordings have the same text in both runs.")
        return Exit.DONE
    choices = _ask(asked, Player(), output)
    result = blind.document((runs[0][0], runs[1][0]), asked, choices, same)
    reports = Reports(dict.fromkeys(arguments.output, f"{json_line(result)}\n"), force=arguments.force)
    reports.write(output)
    output.result(result, blind.verdict(result))
    reports.check()
    return Exit.DONE


def _run(text: str) -> tuple[str, report.Document]:
    """Return the name and the run of `REPORT` or `REPORT#RUN`. Raises InvalidOption."""
    file, _, name = text.partition("#")
    try:
        run = blind.chosen_run(report.load(Path(file)), name)
    except InvalidOption as error:
        message = str(error)
        raise InvalidOption(message if file in message else f"{file}: {message}") from error
    return f"{Path(file).name}, {run['name']}", run


def _ask(asked: list[Question], player: Player, output: Output) -> list[Choice]:
    """Return the answers, in the order of the questions; fewer if the person quits."""
    _say(output, f"{len(asked)} recordings have two different texts. {HELP}.")
    choices = []
    for number, question in enumerate(asked, 1):
        first, second = question.shown
        _say(
            output,
            f"\n{number} of {len(asked)}\n  1  {visible(first) or '(no text)'}\n  2  {visible(second) or '(no text)'}",
        )
        _hear(question, player, output)
        while (answer := _answer(output)) == "r":
            _hear(question, player, output)
        match answer:
            case "q":
                break
            case "=":
                choices.append(Choice.EQUAL)
            case _:
                choices.append(question.choice(first=answer == "1"))
    return choices


def _answer(output: Output) -> str:
    """Return 1, 2, =, r or q; q at the end of the input."""
    while True:
        _say(output, "> ", end="")
        line = sys.stdin.readline()
        if not line:
            return "q"
        if (answer := line.strip().lower()) in {"1", "2", "=", "r", "q"}:
            return answer
        _say(output, HELP)


def _hear(question: Question, player: Player, output: Output) -> None:
    """Play a clip, or say how to hear it."""
    clip = Clip(question.id, Path(question.file), "", begin_s=question.begin_s, duration_s=question.audio_s)
    try:
        is_played = player.play(read(clip, _CHANNEL).wave)
    except ColdvoxError as error:
        _say(output, f"It cannot be played: {visible(str(error))}.")
        return
    if not is_played:
        where = f", from {question.begin_s:g} s on" if question.begin_s else ""
        _say(
            output, f"No player works here ({player.names}): listen to {visible(question.file)}{where} by other means."
        )


def _say(output: Output, text: str, end: str = "\n") -> None:
    """Print for the person: to stdout, or to stderr with --json."""
    stream = sys.stderr if output.as_json else sys.stdout
    print(text, end=end, file=stream, flush=True)
