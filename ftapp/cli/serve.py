"""`ftapp serve`: the terminal interface in a browser."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ftapp.cli.failure import refuse, refuse_bad_recipes
from ftapp.cli.options import OfflineOption, RunsDirOption

if TYPE_CHECKING:
    from ftapp.cli.web.class_record import ClassRecord

_CLASS = "--class"


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "localhost",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="Another host name, such as a proxy's. Can be repeated."),
    ] = None,
    has_token: Annotated[
        bool, typer.Option("--token/--no-token", help="Answer only visitors with a link that has a token.")
    ] = True,
    is_class: Annotated[
        bool, typer.Option(_CLASS, help="Serve a class: links for students, whose runs take turns in the queue.")
    ] = False,
    people: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The names of the students, one a line. Each gets a link. Needs --class."),
    ] = None,
    at_once: Annotated[
        int | None,
        typer.Option(
            "--runs-at-once", min=1, max=64, metavar="N", help="Runs of the class at once. Default: by GPUs and cores."
        ),
    ] = None,
    per_person: Annotated[
        int, typer.Option("--runs-per-person", min=1, max=64, metavar="N", help="Runs of one person at once.")
    ] = 1,
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--folder", metavar="DIR", help="A folder with data that students may read. Can be repeated. Needs --class."
        ),
    ] = None,
    sessions: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Most sessions at once, beside your own. Default: any number; in a class, by the memory.",
        ),
    ] = None,
    sessions_per_person: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="Most sessions of one student at once.")
    ] = 3,
    has_new_links: Annotated[
        bool, typer.Option("--new-links", help="Make new links for the class, and free all names.")
    ] = False,
    runs_dir: RunsDirOption = None,
    offline: OfflineOption = False,
) -> None:
    """Serve the interface to a browser, only on this machine unless --host names another address.

    Open the printed address: it holds a token, without which nobody has access. The token is new each time, or comes
    from FTAPP_TOKEN. A second address shows everything and changes nothing.
    """
    from ftapp.cli.web.class_record import ClassRecord
    from ftapp.cli.web.interface import InterfaceOptions
    from ftapp.cli.web.links import Links
    from ftapp.cli.web.server import WebServer
    from ftapp.cli.web.sessions import SessionLimits
    from ftapp.common import user_folders
    from ftapp.common.confinement import resolve_folders
    from ftapp.common.safe_files import explain_error
    from ftapp.common.web_access import LOOPBACK, TOKEN_VARIABLE, make_token, read_token

    if people and not is_class:
        refuse(f"--people names the students of a class; it needs {_CLASS}")
    if folders and not is_class:
        refuse(f"--folder names data for the students of a class; it needs {_CLASS}")
    for folder in folders or ():
        if not (os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)):  # noqa: PTH112 - Path's raises
            refuse(f"there is no folder '{folder}' that can be read; --folder names a folder with data for the class")
    if has_new_links and not is_class:
        refuse(f"--new-links is about the links of a class, which are kept; it needs {_CLASS}")
    if is_class and not has_token:
        refuse(f"{_CLASS} tells teacher and students apart by their tokens; leave --no-token out")
    with refuse_bad_recipes():
        given = read_token()
    students = _read_names(people) if people else []
    runs = user_folders.runs(runs_dir)
    record = ClassRecord.load(runs, begins_anew=has_new_links) if is_class else ClassRecord()
    if given is None:
        record.token = record.token or make_token()
    links = Links(given or record.token, students, is_class=is_class, record=record) if has_token else None
    if host not in LOOPBACK or links is None:
        print(_warn(host, port, has_token=has_token), file=sys.stderr)
    os.environ.pop(TOKEN_VARIABLE, None)  # not for the processes of visitors
    data = resolve_folders(folders or ())
    options = InterfaceOptions(runs_dir.absolute() if runs_dir else None, offline, data)
    if is_class:
        _check_secrecy(record.file, runs, data)
        if has_new_links and given is not None:
            print(f"{TOKEN_VARIABLE} sets the links, so they stay; --new-links only frees the names", file=sys.stderr)
        _tell_reach(data)
        sessions = sessions or _choose_sessions()
    limits = SessionLimits(sessions, sessions_per_person)
    server = WebServer(options, links, host, port, names or (), limits=limits, hides_token=given is not None)
    try:
        with _share_queue(runs, at_once, per_person) if is_class else nullcontext():
            _keep(record)  # once no other server has the class
            server.serve()
    except OSError as error:
        refuse(f"{host}:{port} cannot be listened on: {explain_error(error)}")


@contextmanager
def _share_queue(folder: Path, at_once: int | None, per_person: int) -> Iterator[None]:
    """Let the runs of a class take turns, and say how many go at once. Afterwards one goes at a time, as before.

    Args:
        folder: The folder of runs.
        at_once: How many runs go at once; None to choose by GPUs and cores.
        per_person: How many runs of one person go at once.
    """
    from ftapp.cli.failure import fail_on_run_errors
    from ftapp.common.formatting import format_quantity
    from ftapp.common.safe_files import explain_error
    from ftapp.experiments.queue import Queue
    from ftapp.experiments.queue_entries import Limits

    queue = Queue.of(folder)
    limits = Limits(at_once=at_once or _choose_runs_at_once(), per_person=per_person)
    with ExitStack() as stack:
        try:
            with fail_on_run_errors():
                stack.enter_context(queue.share(limits))
                stack.enter_context(queue.keep_going())
                if queue.is_paused():
                    print("the queue is paused: 'ftapp queue start' lets runs begin", file=sys.stderr)
        except OSError as error:
            refuse(f"{folder} cannot be written: {explain_error(error)}")
        print(
            f"{format_quantity(limits.at_once, 'run')} at once, {format_quantity(per_person, 'run')} of one person",
            file=sys.stderr,
        )
        yield


def _keep(record: ClassRecord) -> None:
    """Write the record of a class down, or say that its links end with this server."""
    from ftapp.common.safe_files import explain_error

    try:
        record.save()
    except OSError as error:
        print(
            f"{record.file} cannot be written: {explain_error(error)}; the next server of this class has other links",
            file=sys.stderr,
        )


def _choose_sessions() -> int:
    """Choose how many sessions a class has at most: as many as take half of the memory, at 60 MiB each."""
    import psutil

    return max(10, psutil.virtual_memory().total // 2 // (60 << 20))


def _choose_runs_at_once() -> int:
    """Choose how many runs go at once: one for each GPU, or for every four cores without one."""
    gpus = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    return gpus or max(1, (os.cpu_count() or 1) // 4)


def _warn(host: str, port: int, *, has_token: bool) -> str:
    who = "anyone who knows a token and" if has_token else "anyone who"
    return (
        f"{who} reaches {host}:{port} can start runs and read files here; the connection is not encrypted, so others "
        "can read it on the way"
    )


def _check_secrecy(file: Path | None, runs: Path, data: tuple[Path, ...]) -> None:
    """Refuse to open folders to students in which they could read the token of the class.

    Args:
        file: Where the token lies.
        runs: The folder of runs.
        data: The folders with data.
    """
    from ftapp.common.confinement import Confinement

    if file and (opening := Confinement.make("a student", runs, data).find_opening(file)):
        refuse(
            f"students can read {opening}, and the token of the class in it, {file}; open another folder to them, or "
            "set FTAPP_CONFIG to a folder elsewhere"
        )


def _tell_reach(data: tuple[Path, ...]) -> None:
    """Say which folders students can read, and what weakens the walls around their processes, if anything does."""
    from ftapp.common.formatting import join_names

    if data:
        print(f"students can read {join_names([str(each) for each in data])}", file=sys.stderr)
    if weakness := _find_weakness():
        print(weakness, file=sys.stderr)


def _find_weakness() -> str:
    """Say what weakens the walls around the processes of students; "" where nothing does."""
    from ftapp.common.landlock import find_version

    if not find_version():
        return (
            "this system has no Landlock (Linux 5.13 or newer has it), so only the fields for files are checked: "
            "processes of students could read what this user can read"
        )
    if os.geteuid() == 0:
        return "the server runs as root, so processes of students can read variables of others; use an ordinary user"
    return ""


def _read_names(file: Path) -> list[str]:
    """Read the names of students, one a line. Empty lines count for nothing."""
    from ftapp.cli.web.links import find_wrong_name, tidy_name
    from ftapp.common.person import TEACHER
    from ftapp.common.safe_files import UNREADABLE, explain_error, read_text

    try:
        lines = [tidy_name(line) for line in read_text(file).removeprefix("\ufeff").splitlines()]
    except (OSError, *UNREADABLE) as error:
        refuse(f"{file} cannot be read: {explain_error(error)}; it has the names of students, one a line")
    names = list(filter(None, lines))
    seen = {TEACHER}
    for name in names:
        if wrong := find_wrong_name(name):
            refuse(f"{file}: {wrong}")
        if name.casefold() in seen:
            refuse(f"{file}: {name} is there twice, or is the teacher's name; each student has a name of their own")
        seen.add(name.casefold())
    if not names:
        refuse(f"{file} has no names; it has the names of students, one a line")
    return names
