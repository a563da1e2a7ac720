"""The README names every file and every choice, and its commands are the ones that CI runs."""

import re
from pathlib import Path

import pytest

from mtl_core.model.structures import STRUCTURES
from mtl_core.weighting.methods import METHODS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = [
    path.relative_to(ROOT)
    for package in ("mtl_core", "search")
    for path in sorted((ROOT / package).rglob("*.py"))
    if path.name != "__init__.py"
]
FILES += [path.relative_to(ROOT) for path in sorted((ROOT / "spaces").glob("*.yaml"))]


@pytest.mark.parametrize("name", [*STRUCTURES, *METHODS])
def test_every_choice_is_named(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_file_stands_in_the_tree_under_its_folder(path: Path) -> None:
    tree = README[README.index("## The tree") :]
    of_folder = re.split(r"(?m)^(?=\S)", tree[tree.index(f"\n{path.parent}/  ") + 1 :])[1]

    assert re.search(rf"(?m)^  {re.escape(path.name)} ", of_folder), f"{path} is not in the tree"


def test_no_file_of_the_tree_is_gone() -> None:
    listed = re.findall(r"(?m)^  (\S+\.(?:py|yaml)) ", README[README.index("## The tree") :])

    assert set(listed) <= {path.name for path in FILES}


def test_ci_runs_the_readme_s_test_command() -> None:
    command = 'pip install -e ".[test]" && pytest -n 3 --dist loadfile'

    assert f"    {command}\n" in README
    assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text()
