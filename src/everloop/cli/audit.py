"""`everloop audit`: what was decided and must be proved later."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from everloop.cli.common import common_options, emit, table
from everloop.cli.program import Program
from everloop.errors import Refused
from everloop.ids import Json

if TYPE_CHECKING:
    from everloop.state.audit import AuditEntry


@click.group("audit")
def command() -> None:
    """What was decided: each entry seals the one before."""


@command.command("list")
@common_options
@click.pass_obj
def list_entries(program: Program, path: Path, *, as_json: bool) -> None:
    """List all entries, oldest first."""
    entries = program.open_project(path).audit.entries()
    if as_json:
        emit([_told(entry) for entry in entries])
        return
    table(
        ("no.", "at", "by", "what", "told"),
        [
            (e.number, f"{e.at:%Y-%m-%d %H:%M:%S}", e.by, e.what, json.dumps(e.told))
            for e in entries
        ],
    )


@command.command("verify")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--public", help="Check FILE.sig by this public key, or the .pub file of one.")
@common_options
@click.pass_obj
def verify(
    program: Program, file: Path | None, public: str | None, path: Path, *, as_json: bool
) -> None:
    """Check every seal; an entry that was changed or removed is refused by its number.

    Of the project's log, or of one that was exported to FILE. Keep the newest seal somewhere else:
    it proves that nothing was cut off at the end.
    """
    from everloop.packaging.keys import check_file, read_public
    from everloop.state.audit import check_seals

    if file is None:
        if public is not None:
            raise Refused("--public checks the signature of a FILE; none is named")
        entries = program.open_project(path).audit.entries()
    else:
        if public is not None:
            check_file(file, read_public(public))
        entries = _read(file)
    check_seals(entries)
    newest = entries[-1].seal if entries else None
    told: dict[str, Json] = {"entries": len(entries), "newest_seal": newest}
    emit(told) if as_json else click.echo(f"{len(entries)} entries fit; newest seal {newest}.")


@command.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--key", type=click.Path(path_type=Path), help="Sign it: FILE.sig beside it.")
@common_options
@click.pass_obj
def export(program: Program, file: Path, key: Path | None, path: Path, *, as_json: bool) -> None:
    """Write all entries to FILE, a line of JSON each, and sign it with an Ed25519 key.

    `everloop package keys` makes keys.
    """
    from everloop.packaging.keys import read_private, sign_file
    from everloop_runtime.files import write_atomic
    from everloop_runtime.ids import canonical_json

    audit = program.open_project(path).audit
    audit.check()
    entries = audit.entries()
    lines = [canonical_json(_told(entry)) + b"\n" for entry in entries]
    write_atomic(file.absolute(), b"".join(lines))
    public = None if key is None else sign_file(file.absolute(), read_private(key))
    told: dict[str, Json] = {"file": str(file), "entries": len(entries), "signed_by": public}
    emit(told) if as_json else click.echo(f"{len(entries)} entries written to {file}.")


def _read(file: Path) -> list["AuditEntry"]:
    """The entries of an exported log."""
    from everloop.state.audit import AuditEntry

    try:
        rows = [json.loads(line) for line in file.read_bytes().splitlines()]
        return [AuditEntry(**{**row, "at": datetime.fromisoformat(row["at"])}) for row in rows]
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Refused(f"{file} is no exported audit log: {error}") from error


def _told(entry: "AuditEntry") -> dict[str, Json]:
    return {
        "number": entry.number,
        "at": entry.at.isoformat(),
        "by": entry.by,
        "what": entry.what,
        "told": dict(entry.told),
        "seal": entry.seal,
    }
