"""`everloop data`: import data; list, show and compare snapshots."""

import click

from everloop.cli.data_check import check, check_table
from everloop.cli.data_exclude import exclude, include
from everloop.cli.data_export import write_out
from everloop.cli.data_forget import forget
from everloop.cli.data_gc import gc, usage
from everloop.cli.data_import import take_in
from everloop.cli.data_quarantine import quarantine
from everloop.cli.data_watch import watch
from everloop.cli.snapshots import command as snapshots


@click.group("data")
def command() -> None:
    """Import data; list, show and compare snapshots."""


command.add_command(check)
command.add_command(exclude)
command.add_command(include)
command.add_command(check_table)
command.add_command(quarantine)
command.add_command(take_in)
command.add_command(write_out)
command.add_command(forget)
command.add_command(gc)
command.add_command(usage)
command.add_command(watch)
for _same in ("list", "show", "diff"):
    command.add_command(snapshots.commands[_same])
