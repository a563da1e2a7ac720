"""What `branchpoint show` prints: the answer, tasks by arms, the winners' plans."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mtl_core.errors import ConfigError
from search.report.show import print_headline, show


def shown(folder: Path, width: int = 120) -> str:
    console = Console(file=StringIO(), width=width)
    show(folder, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_answer_table_and_plans_are_shown(whole: Any, make_folder: Any) -> None:
    text = shown(make_folder(whole))

    assert text.startswith("Best on average: layerwise_implicit, task tokens enter after 1 of 4")
    assert "less |" in text
    row = next(line for line in text.splitlines() if line.startswith("│ films"))
    assert "90.0 ±3.0*" in row
    assert "layerwise_implicit, task tokens enter after 1 of 4 layers: best for the average" in text
    assert "│embedding│" in text


def test_a_narrow_terminal_has_no_intervals_but_all_arms(whole: Any, make_folder: Any) -> None:
    text = shown(make_folder(whole), width=80)

    row = next(line for line in text.splitlines() if line.startswith("│ films"))
    assert "90.0*" in row
    assert "±" not in row
    assert max(map(len, text.splitlines())) <= 80


def test_task_names_are_whole_in_a_narrow_terminal(whole: Any, make_folder: Any) -> None:
    text = shown(make_folder(whole), width=60)

    row = next(line for line in text.splitlines() if line.startswith("│films"))
    assert "90.0*" in row
    assert "…" not in text


def test_long_task_names_go_on_in_the_next_line(make_study: Any, make_folder: Any) -> None:
    study = make_study(["health_personal_care"])
    for structure in ("single_task", "stack_pooling", "stack_cls", "layerwise_implicit"):
        study.train(structure, (0.8,), None if structure == "single_task" else 1)

    text = shown(make_folder(study), width=45)

    table = text[text.index("│health") : text.index("│mean")]
    names = [line.split("│")[1].strip() for line in table.splitlines() if line.startswith("│")]
    assert "".join(names) == "health_personal_care"


def test_many_arms_go_on_in_another_table_of_a_narrow_terminal(
    whole: Any, make_folder: Any
) -> None:
    for event in whole.events:
        if event.get("model") == "structure:stack_cls":
            more = [{**event, "model": f"arm:stack_cls, n_layers {n}"} for n in range(2, 12)]
    whole.events += more

    text = shown(make_folder(whole), width=60)

    scores = text[text.index("Scores times 100") :]
    assert max(map(len, text.splitlines())) <= 60
    assert scores.count("S-C,") == 10
    assert sum(line.count("82.5") for line in scores.splitlines() if "│films" in line) == 10
    assert all(row.startswith("│films") for row in scores.splitlines() if "82.5" in row)


def test_the_comparison_folds_its_words_where_the_terminal_is_narrow(
    confirmed_study: Any, make_folder: Any
) -> None:
    text = shown(make_folder(confirmed_study), width=60)

    row = next(line for line in text.splitlines() if line.startswith("│majority"))
    assert "better" in row
    assert "| ---" not in text
    assert max(map(len, text.splitlines())) <= 60


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("out", "longest"), [(Terminal(), 60), (StringIO(), 100)])
def test_the_answer_is_as_wide_as_the_terminal_and_whole_lines_in_a_file(
    confirmed_study: Any, out: StringIO, longest: int
) -> None:
    print_headline(confirmed_study.record(), Console(file=out, width=60, color_system=None))

    text = out.getvalue()
    prose = [line for line in text.splitlines() if not line.startswith(("|", "│"))]
    assert max(map(len, prose)) in range(longest - 10, longest + 1)
    assert text.startswith("Best on average: layerwise_implicit")


def test_before_the_test_dev_scores_are_shown_as_such(make_study: Any, make_folder: Any) -> None:
    study = make_study().train("stack_cls", (0.8, 0.7), 1)

    text = shown(make_folder(study))

    assert "Not tested yet" in text
    assert "dev, nothing is tested yet" in text


def test_names_with_markup_are_shown_as_they_are(make_study: Any, make_folder: Any) -> None:
    study = make_study(["[red]books[/red]"]).train("stack_cls", (0.8,), 1)

    assert "[red]books[/red]" in shown(make_folder(study))


def test_many_plans_are_not_all_drawn(make_study: Any, make_folder: Any) -> None:
    study = make_study([f"t{at}" for at in range(6)])
    for at in range(6):
        scores = [0.5 + 0.4 * (task == at) for task in range(6)]
        study.train("stack_cls", scores, [at % 5] * 5 + [at // 5])

    assert "1 more plan in report.html" in shown(make_folder(study))


def test_plans_of_many_tasks_are_whole_in_a_narrow_terminal(
    make_study: Any, make_folder: Any
) -> None:
    study = make_study([f"task_{at}" for at in range(40)]).train("single_task", [0.8] * 40)

    text = shown(make_folder(study), width=60)

    assert all(f"│{bank}◆ " in text or f"│ {bank}◆ " in text for bank in range(40))
    assert "40 task_39" in " ".join(text.split())


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no study is here"):
        shown(tmp_path)
