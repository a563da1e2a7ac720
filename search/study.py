"""A study that is on disk, to be asked: `Study`, and `open_study`.

It lives in `<out>/<name>` (`place.py`); the journal in it is the truth (`journal.py`), all else
there is written from it (`finish.py`). What makes one is in `end_to_end.py`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from mtl_core.errors import ConfigError, check_names
from mtl_core.foreign import check_inside
from search.choice import Choice, best_choice
from search.journal import JOURNAL
from search.objectives import WORST_TASK
from search.place import SPACE, WRITTEN
from search.record import StudyRecord
from search.space import load_space
from search.views import PAGE, REPORT, write_views

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mtl_core.training.predictor import Predictor


class Study:
    """A study on disk: what was found, as objects and tables.

    Args:
        folder: The study's folder, such as `results/layerwise`.
        record: Its journal, replayed.
    """

    def __init__(self, folder: Path, record: StudyRecord) -> None:
        self.folder = folder
        self.record = record

    @property
    def interrupted(self) -> bool:
        """Whether the last search was stopped by hand; the same command continues it."""
        return self.record.ended_reason == "interrupted"

    @property
    def given_up(self) -> bool:
        """Whether the last search ended because too many trials failed (`search.failures`), or all
        of the few that it had."""
        return self.record.ended_reason == "failures" or self.record.all_failed()

    def best(self, task: str | None = None) -> Choice:
        """Return the best configuration on dev, for `task` or on average: a confirmed one if any.

        Args:
            task: A task's name, or "worst_task": the best for whichever task does worst.

        Raises:
            ConfigError: No such task, or no trial has been scored yet.
        """
        if task is not None:
            check_names([task], (*self.record.tasks, WORST_TASK), where="task")
        found = best_choice(self.record, task)
        if found is None:
            raise ConfigError(f"{self.folder}: no trial has been scored yet; run the search first")
        return found

    def load(self, task: str | None = None) -> "Predictor":
        """Return the best model, for `task` (or "worst_task") or on average, ready to predict."""
        import mtl_core

        return mtl_core.load(self.folder / "best" / (task or "average"))

    def trials(self) -> "pd.DataFrame":
        """Return one row per trial; `trials_arrow` is the same as an Arrow table."""
        return self.trials_arrow().to_pandas()

    def curves(self) -> "pd.DataFrame":
        """Return one row per trial, epoch and task; `curves_arrow` is the same in Arrow."""
        return self.curves_arrow().to_pandas()

    def confirmed(self) -> "pd.DataFrame":
        """Return one row per training with a fresh seed and task; `confirmed_arrow` likewise."""
        return self.confirmed_arrow().to_pandas()

    def trials_arrow(self) -> "pa.Table":
        from search.tables import trials_table

        return trials_table(self.record)

    def curves_arrow(self) -> "pa.Table":
        from search.tables import curves_table

        return curves_table(self.record)

    def confirmed_arrow(self) -> "pa.Table":
        from search.tables import confirmed_table

        return confirmed_table(self.record)

    def report(self) -> str:
        """Return the report's text, Markdown."""
        return (self.folder / REPORT).read_text(encoding="utf-8")

    @property
    def reports(self) -> tuple[Path, Path]:
        """Where the report is, as Markdown and as a page."""
        return self.folder / REPORT, self.folder / PAGE

    def headline(self) -> str:
        """Return the answer in a few lines."""
        from search.report.headline import headline

        return headline(self.record)

    def write_report(self) -> None:
        """Write the report, the tables and the Optuna database anew from the journal."""
        write_views(self.record, load_space(self.folder / SPACE), self.folder)


def open_study(folder: str | Path) -> Study:
    """Return a study that is on disk, to ask it; raises `ConfigError` if `folder` holds none."""
    path = Path(folder)
    if not (path / JOURNAL).is_file():
        raise ConfigError(f"{path}: no study is here; a study's folder holds {JOURNAL}")
    check_inside(path, WRITTEN)
    return Study(path, StudyRecord.load(path / JOURNAL))
