"""The command line: `python -m search.run`, and `branchpoint run | report | audit | ...`.

Only arguments are handled here. What they ask for is done by `end_to_end.py` (search), `study.py`
(report), `dry_run.py`, `audit_command.py` and others, which are imported when a command needs them,
so that `--help` answers at once. The caller's faults end with exit code 2 and one clear message on
the error stream, never with a traceback.
"""

import atexit
import gc
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.clear_errors import clear_errors

if TYPE_CHECKING:
    from search.place import Existing
    from search.study import Study

# New objects until Python looks for garbage: it finds none in what is imported, but took a sixth
# of the time until a search began.
_BETWEEN_COLLECTIONS = 20_000

app = typer.Typer(
    name="branchpoint",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

SpaceOption = Annotated[str, typer.Option(help="The search space, a YAML file.")]
DataOption = Annotated[
    str | None,
    typer.Option(help="Folder or task file, in place of the space's `data.source`."),
]
StudyArgument = Annotated[
    str, typer.Argument(help="Folder or address of a study, such as results/layerwise.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the space; repeatable."),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("branchpoint"))
        raise typer.Exit


@app.callback()
def about(
    _: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Finds out how several text tasks should share one Transformer."""


@app.command("run")
def run(
    space: SpaceOption,
    data: DataOption = None,
    out: Annotated[
        str, typer.Option(help="Folder or address (s3://...) that holds one folder per study.")
    ] = "results",
    trials: Annotated[int | None, typer.Option(help="Trials to run in all.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Minutes for search and confirmation.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the whole study.")] = None,
    lanes: Annotated[
        int | None, typer.Option(help="Trials that one engine trains side by side.")
    ] = None,
    settings: SetOption = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join, HOST:PORT or `auto`.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Join a cluster that asks for no token.")
    ] = False,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--fresh",
            help="Insist on continuing the study of that name, or put it aside and begin anew. "
            "Without either: continue it if it is there.",
        ),
    ] = None,
    watched: Annotated[
        bool, typer.Option("--watch", help="Serve the live report meanwhile, on loopback.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, show the plan, start nothing.")
    ] = False,
) -> None:
    """Search how the tasks should share one Transformer, and write the answer to a report."""
    given = {"trials": trials, "minutes": minutes, "seed": seed, "lanes": lanes}
    overrides = [*(settings or ()), *(f"search.{k}={v}" for k, v in given.items() if v is not None)]
    existing: Existing = "continue" if resume is None else "resume" if resume else "fresh"
    gc.set_threshold(_BETWEEN_COLLECTIONS)
    with clear_errors():
        if dry_run:
            from search.dry_run import show_plan

            show_plan(space, data=data, out=out, overrides=overrides, existing=existing)
            return
        from search.end_to_end import run_search
        from search.place import study_folder
        from search.progress import live_progress
        from search.space import load_space
        from search.watch_command import served

        asked = load_space(space, overrides, data=data)
        with served(study_folder(out, asked.name)) if watched else nullcontext():
            study = run_search(
                asked,
                out=out,
                address=address,
                insecure=insecure,
                existing=existing,
                progress=live_progress(),
            )
        _print_answer(study)
    raise typer.Exit(130 if study.interrupted else int(study.given_up))


@app.command("report")
def report(folder: StudyArgument) -> None:
    """Write a study's tables and reports anew from its journal, and print the answer."""
    with clear_errors():
        from search.bucket import local_study
        from search.bucket_sync import handed_on
        from search.study import open_study

        study = open_study(local_study(folder))
        with handed_on(study.folder, typer.echo):
            study.write_report()
        _print_answer(study)


@app.command("show")
def show(folder: StudyArgument) -> None:
    """Show a study in the terminal: the answer, tasks by arms, the plans of the winners."""
    with clear_errors():
        from search.bucket import local_study
        from search.report.show import show as show_study

        show_study(local_study(folder))


@app.command("compare")
def compare(
    folders: Annotated[list[str], typer.Argument(help="Folders of two or more studies.")],
) -> None:
    """Set studies side by side: what differs in space, data and versions, and what they found."""
    with clear_errors():
        from search.bucket import local_study
        from search.report.compare_studies import compare as compare_studies

        compare_studies([local_study(folder) for folder in folders])


@app.command("watch")
def watch(
    folder: Annotated[str, typer.Argument(help="Folder of a study, such as results/layerwise.")],
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback ask for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any that is free.")] = 0,
    wait: Annotated[bool, typer.Option("--wait", help="The study may begin later.")] = False,
) -> None:
    """Serve the live report of a study that is under way, until Ctrl-C."""
    with clear_errors():
        from search.watch_command import watch_study

        watch_study(folder, host=host, port=port, wait=wait, say=typer.echo)


@app.command("affinity")
def affinity(
    folder: StudyArgument,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of the training on which it is measured.")
    ] = None,
    data: DataOption = None,
) -> None:
    """Measure how the tasks of a finished study relate, and write its report anew."""
    with clear_errors():
        from search.affinity.command import measure_study
        from search.bucket import local_study
        from search.bucket_sync import handed_on

        here = local_study(folder)
        with handed_on(here, typer.echo):
            typer.echo(measure_study(here, epochs=epochs, data=data, say=typer.echo))


@app.command("audit")
def audit(
    data: Annotated[str, typer.Option(help="Folder or task file, or `builtin`.")] = "builtin",
    settings: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
) -> None:
    """Say what is in the task files, and what is wrong with them."""
    with clear_errors():
        from search.audit_command import print_audit

        print_audit(data, overrides=settings or (), as_json=as_json)


@app.command("builtin")
def builtin(
    folder: Annotated[Path, typer.Argument(help="A new folder for the task folders.")],
    settings: SetOption = None,
) -> None:
    """Write the built-in corpus as task folders, such as a user's own, and its planted truth."""
    with clear_errors():
        from search.builtin_command import write_builtin

        write_builtin(folder, overrides=settings or ())
        typer.echo(f"{folder}: written; search it with --data {folder}")


@app.command("predict")
def predict(
    model: Annotated[
        str, typer.Option(help="Model folder, such as results/layerwise/best/average.")
    ],
    task: Annotated[str, typer.Option(help="Name of the task whose head answers.")],
    probabilities: Annotated[
        bool, typer.Option(help="Print behind each answer how likely what it says is.")
    ] = False,
) -> None:
    """Label texts, one a line, from standard input; prints one answer a line.

    Of a task of pairs a line is two texts with a tab between. The answer is the label, the labels
    that hold with | between, the value, or a tag for each word. With --probabilities a tab and the
    probability follow, one for each of several labels; of tags a tab and one for each word.
    """
    with clear_errors():
        from search.bucket import local_study
        from search.predict_command import answers

        folder, given = local_study(model), sys.stdin.buffer if sys.stdin else None
        for line in answers(folder, task, given, probabilities=probabilities):
            typer.echo(line)


def _print_answer(study: "Study") -> None:
    """Print the answer, and where the reports are."""
    from search.bucket import known_as
    from search.report.show import print_headline

    print_headline(study.record)
    for path in study.reports:
        typer.echo(f"report: {known_as(study.folder, path)}")


def main(command: Callable[[], None] = app) -> None:
    """Entry point of the console script `branchpoint`.

    Python looks for garbage twice on its way out, in all that has been imported: over a second that
    a search's user waits for the prompt, and nothing that the end of the process does not free.
    """
    atexit.register(_leave_garbage)
    command()


def _leave_garbage() -> None:
    if "triton" not in sys.modules:  # it writes thirty lines on all of its own that is not freed
        gc.freeze()


if __name__ == "__main__":
    main(partial(typer.run, run))
