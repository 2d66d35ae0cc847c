"""`everloop`: the group of all commands, and how errors become messages and exit codes."""

import importlib
import json
import sys
from collections.abc import Sequence

import click

from everloop.cli.program import Program
from everloop.errors import Conflict, EverloopError, Refused, Unavailable

_COMMANDS = {
    "init": "Write a new project from a template.",
    "up": "Run the product: service, loop and tracker.",
    "down": "Stop what an ended `up` left running.",
    "status": "The loop at a glance.",
    "monitor": "What the signals say of the live model, now or over any period.",
    "why": "What each arm of the loop did last or is waiting for.",
    "data": "Import data; list, show and compare snapshots.",
    "snapshots": "List, show, compare and tag versions of the data set.",
    "lineage": "Which models saw a sample, and which samples a model saw.",
    "train": "Take a snapshot and learn a model from it.",
    "runs": "List, show and compare training attempts.",
    "reproduce": "Do a run again from its record, and compare.",
    "tune": "Search for better parameters.",
    "studies": "What searches for parameters have found; take it over.",
    "evaluate": "Measure a bundle on the hold-out.",
    "verify": "Replay the hold-out through a bundle's live service.",
    "models": "List, show, compare, approve and reject models.",
    "deploy": "Make a verified bundle the champion.",
    "releases": "What serves which share, what did before, and why.",
    "experiment": "Try bundles beside the champion, and see which one is better.",
    "feedback": "Tell what became known of answers: labels, corrections, events.",
    "rollback": "End the canary or the experiment, or go back to the champion before.",
    "report": "What happened, what the loop did and why, what needs somebody.",
    "alerts": "What stands that somebody should know: list, acknowledge, silence, test.",
    "web": "The pages for people, and who may use them.",
    "audit": "What was decided, sealed: list, verify, export.",
    "label": "Take, answer, judge and review label tasks.",
    "privacy": "What is filtered before labellers see it; check, release, measure.",
    "predict": "Ask the live service about images.",
    "serve": "Run the prediction service alone, in the foreground.",
    "package": "Make wheels and images of bundles; sign and verify them.",
    "trace": "From a served answer back to the labels behind it.",
    "job": "",
    "describe": "",
}
"""Name and one-line help; an empty one hides the command, which is for the program itself."""

EXIT_CODES = {Refused: 3, Unavailable: 4, Conflict: 5}
_DEFECT = 1


class _Lazy(click.Group):
    """A group that imports a command's module only when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [name for name, text in _COMMANDS.items() if text]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"everloop.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)  # noqa: S101 - each module has one
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        rows = [(name, text) for name, text in _COMMANDS.items() if text]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="everloop")
def everloop() -> None:
    """The whole life of a machine-learning product, with the loop closed.

    Exit codes: 0 done, 1 a defect of Everloop, 2 wrong usage, 3 refused (change the input),
    4 unavailable (try again later), 5 conflict (look again).
    """


def run(program: Program, arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    as_json = "--json" in arguments
    try:
        code = everloop.main(list(arguments), "everloop", obj=program, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        return 130
    except EverloopError as error:
        return _tell(error, as_json=as_json)
    return code if isinstance(code, int) else 0


def _tell(error: EverloopError, *, as_json: bool) -> int:
    if as_json:
        told = {"error": {"kind": type(error).__name__, "message": str(error)}}
        click.echo(json.dumps(told))
    click.secho(f"{type(error).__name__.lower()}: {error}", fg="red", file=sys.stderr)
    return EXIT_CODES.get(type(error), _DEFECT)
