"""Everything a user can get wrong on the command line, and what is said about it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.run import app

ROOT = Path(__file__).parents[2]
ROWS = [("good film", "pos"), ("bad film", "neg"), ("fine", "pos"), ("poor", "neg")] * 3

SPACE = """\
name: small
data: {source: data}
encoder: {n_layers: 2, d_model: 16, d_word: 16, n_heads: 2, d_ff: 16}
sharing:
  structure: {choice: [stack_pooling, layerwise_implicit]}
training: {epochs: 1}
"""


Spoil = Callable[[Path], None]


def nothing(folder: Path) -> None:
    """The fault is in the arguments."""


def write(name: str, text: str) -> Spoil:
    return lambda folder: put(folder / name, text)


def edit(old: str, new: str) -> Spoil:
    assert old in SPACE
    return write("space.yaml", SPACE.replace(old, new))


def remove(*names: str) -> Spoil:
    def spoil(folder: Path) -> None:
        for name in names:
            path = folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def setting(*settings: str) -> list[str]:
    return [word for one in settings for word in ("--set", one)]


ENDLESS = "learning_rate={float: [0.1, 0.2]}"
TRAIN, DEV = "data/dvd/train.tsv", "data/dvd/dev.tsv"

# What is done to a sound folder, the arguments, and what the message must say.
FAULTS: dict[str, tuple[Spoil, list[str], str]] = {
    # the space
    "no such space": (nothing, ["--space", "nowhere.yaml"], r"nowhere\.yaml.*no such file"),
    "a folder for a space": (nothing, ["--space", "data"], r"data.*(directory|folder)"),
    "an empty space": (write("space.yaml", ""), [], r"space\.yaml.*empty"),
    "not YAML": (write("space.yaml", "a: [1, 2"), [], r"space\.yaml:\d+"),
    "a list for a space": (write("space.yaml", "- 1"), [], r"space\.yaml"),
    "no text": (lambda f: (f / "space.yaml").write_bytes(b"\xff\xfe") and None, [], r"UTF-8"),
    "an unknown section": (edit("encoder", "encodr"), [], r"space\.yaml:3.*'encoder'"),
    "an unknown key": (edit("n_layers", "n_layer"), [], r"space\.yaml:3.*'n_layers'"),
    "a wrong type": (edit("n_layers: 2", "n_layers: two"), [], r":3.*n_layers.*'two'"),
    "a count of zero": (edit("n_layers: 2", "n_layers: 0"), [], r":3.*n_layers.*0"),
    "heads that do not divide": (edit("n_heads: 2", "n_heads: 3"), [], r"n_heads"),
    "an unknown structure": (edit("stack_pooling", "stack_poling"), [], r":5.*'stack_pooling'"),
    "an empty choice": (edit("[stack_pooling, layerwise_implicit]", "[]"), [], r":5.*structure"),
    "an unknown weighting": (nothing, setting("method=equall"), r"method.*'equal'"),
    "an empty range": (nothing, setting("learning_rate={float: [0.1, 0.01]}"), r"learning_rate"),
    "a log range from zero": (nothing, setting("dropout={float: [0, 0.5], log: true}"), "dropout"),
    "a depth above the layers": (nothing, setting("divergence_depth=7"), r"divergence_depth.*7"),
    "an impossible condition": (
        nothing,
        setting("size_temperature={choice: [1.0, 2.0], when: {method: sise}}"),
        r"size_temperature.*'sise'",
    ),
    "a grid without end": (nothing, setting("sampler=grid", ENDLESS), r"grid"),
    "a point outside its range": (
        write("space.yaml", SPACE + "points: [{structure: stack_cls}]\n"),
        [],
        r"space\.yaml:7.*'stack_cls'",
    ),
    # the arguments
    "an unknown option": (nothing, ["--trails", "3"], r"--trails"),
    "an unknown key to set": (nothing, setting("learning_rat=1"), r"'learning_rate'"),
    "a setting without value": (nothing, setting("learning_rate"), r"KEY=VALUE|key=value"),
    "no trials": (nothing, ["--trials", "0"], r"trials.*0"),
    "minutes below zero": (nothing, ["--minutes", "-1"], r"minutes.*-1"),
    "a seed below zero": (nothing, ["--seed", "-4"], r"seed.*-4"),
    "no lanes": (nothing, ["--lanes", "0"], r"lanes.*0"),
    "lanes in words": (nothing, ["--lanes", "many"], r"--lanes.*integer"),
    "trials in words": (nothing, ["--trials", "many"], r"--trials.*integer"),
    # the data
    "no such data": (nothing, ["--data", "nowhere"], r"nowhere"),
    "a file for data": (nothing, ["--data", "space.yaml"], r"space\.yaml.*(folder|directory)"),
    "no data given": (nothing, setting("data.source=required"), r"--data"),
    "data without tasks": (remove("data/books", "data/dvd"), [], r"data.*no task"),
    "a task alone": (nothing, ["--data", "data/books"], r"books"),
    "a task without train": (remove(TRAIN), [], r"dvd.*train"),
    "an empty train": (write(TRAIN, "text\tlabel\n"), [], r"dvd.*train"),
    "one class only": (write(TRAIN, "text\tlabel\na\tx\nb\tx\n"), [], r"train\.tsv.*'x'"),
    "a label that train has not": (
        write(DEV, "text\tlabel\na\tpos\nb\tso\n"),
        [],
        r"dev\.tsv, line 3.*'so'",
    ),
    "no column for labels": (write(TRAIN, "text\tlable\na\tx\n"), [], r"'label'"),
    "a row too short": (write(TRAIN, "text\tlabel\na\n"), [], r"train\.tsv, line 2"),
    "a split twice": (write("data/dvd/train.csv", "text,label\na,pos\n"), [], r"train\.csv"),
    "a line that is no JSON": (
        both(remove(DEV), write("data/dvd/dev.jsonl", "{\n")),
        [],
        r"dev\.jsonl, line 1",
    ),
    "a Parquet file that is none": (
        both(remove(DEV), write("data/dvd/dev.parquet", "x")),
        [],
        r"dev\.parquet",
    ),
    "an unknown task": (nothing, setting("data.tasks=[books, dvds]"), r"'dvds'.*'dvd'"),
    "weights of an unknown task": (
        nothing,
        setting("method=static", "weights={boks: 2.0}"),
        r"'boks'.*'books'",
    ),
    "a depth for too few tasks": (nothing, setting("divergence_depth=[1]"), r"2 tasks"),
    "no such word vectors": (nothing, setting("vectors=nowhere.txt"), r"nowhere\.txt"),
    "word vectors of another width": (
        write("vec.txt", "good 1 2 3\nbad 1 2 3\n"),
        setting("vectors=vec.txt"),
        r"vec\.txt.*3.*d_word.*16|d_word.*16.*3",
    ),
    "word vectors that are none": (
        write("vec.txt", "good 1 x\n"),
        setting("vectors=vec.txt"),
        r"vec\.txt, line 1",
    ),
    "no known word to warm up with": (
        nothing,
        setting("mlm_warm_up=true", "min_count=99"),
        r"no word of the train texts is known.*min_count",
    ),
    "word vectors of other words": (
        write("vec.txt", f"GOOD{' 1' * 16}\n"),
        setting("vectors=vec.txt"),
        r"vec\.txt: has a vector for none of the [\d,]+ words of the texts",
    ),
    # the place
    "a store that there is not": (nothing, ["--out", "gopher://a/x"], "a/x: the store cannot"),
    "no cluster there": (nothing, ["--address", "127.0.0.1:1"], r"--address 127\.0\.0\.1:1"),
    "a file for the results": (nothing, ["--out", "space.yaml"], r"--out.*space\.yaml"),
    "nothing to resume": (nothing, ["--resume"], r"--resume"),
    "another study there": (
        write("out/small/journal.jsonl", '{"event":"study","time":1,"format":1,"name":"x"}\n'),
        [],
        r"out/small.*another space.*--fresh",
    ),
    "a journal that is none": (
        write("out/small/journal.jsonl", "what?\n\n"),
        [],
        r"journal\.jsonl:1",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sound tasks and a sound space."""
    for task in ("books", "dvd"):
        for split in ("train", "dev", "test"):
            rows = [f"{text} {i}\t{label}" for i, (text, label) in enumerate(ROWS)]
            put(tmp_path / "data" / task / f"{split}.tsv", "\n".join(["text\tlabel", *rows, ""]))
    put(tmp_path / "space.yaml", SPACE)
    return tmp_path


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_caller_gives_one_clear_message_and_exit_code_2(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, arguments, message = FAULTS[name]
    spoil(folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("BRANCHPOINT_DATA", raising=False)
    before = content(folder)

    result = CliRunner().invoke(app, ["run", *arguments, *defaults(arguments)])

    said = " ".join(re.sub("[│╭╮╰╯─]", " ", result.stderr).split())
    assert result.exit_code == 2, said or repr(result.exception)
    assert re.search(message, said), said
    assert "Traceback" not in said
    assert content(folder) == before


def test_the_sound_folder_passes_the_dry_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)

    result = CliRunner().invoke(app, ["run", "--space", "space.yaml", "--dry-run"])

    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], r"--space"),
        (["predict", "--model", "nowhere", "--task", "books"], r"nowhere"),
        (["predict", "--model", "data", "--task", "books"], r"data"),
        (["report", "nowhere"], r"nowhere.*no study"),
        (["show", "nowhere"], r"nowhere.*no study"),
        (["compare", "nowhere"], r"found 1 folder, two or more would be right.*no study"),
        (["audit", "--data", "nowhere"], r"nowhere"),
        (["audit", "--data", "data", "--set", "max_word=3"], r"'max_words'"),
    ],
)
def test_the_other_commands_refuse_bad_input_in_the_same_way(
    arguments: list[str], message: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)

    result = CliRunner().invoke(app, arguments)

    assert result.exit_code == 2
    assert re.search(message, " ".join(result.stderr.split()))


def test_the_end_of_a_command_writes_nothing_of_its_own_whatever_was_imported() -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    code = "import triton; from search.run import main; main(lambda: None)"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def defaults(arguments: list[str]) -> list[str]:
    given = {"--space": "space.yaml", "--out": "out"}
    return [word for key, value in given.items() if key not in arguments for word in (key, value)]


def content(folder: Path) -> dict[str, bytes]:
    """Return every file and what is in it."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
