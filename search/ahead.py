"""What the end of a study needs, made ready while its last trials train.

When there are no more trials to begin, lanes fall empty one after another. Meanwhile a thread of
the driver trains the baselines and imports what `finish.py` imports, which takes some seconds.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module

from mtl_core.baselines import Baseline

MODULES = (
    "search.finish",
    "search.optuna_view",
    "search.report.html.page",
    "alembic.command",  # this and the next Optuna imports when they are first used
    "optuna.importance",
)


class Ahead:
    """Baselines that are trained before they are asked for, if there is time.

    Args:
        train: Trains them; called at most once.
    """

    def __init__(self, train: Callable[[], Iterable[Baseline]]) -> None:
        self._train = train
        self._imported: Future[None] | None = None
        self._trained: Future[list[Baseline]] | None = None

    def begin(self) -> None:
        """Make ready in a thread; the second time nothing more."""
        if self._trained is None:
            with_one_thread = ThreadPoolExecutor(1)
            # Imports come first: scikit-learn asks torch for its types as soon as a part is there.
            self._imported = with_one_thread.submit(_import)
            self._trained = with_one_thread.submit(lambda: list(self._train()))
            with_one_thread.shutdown(wait=False)

    def wait_for_imports(self) -> None:
        """Wait until the thread imports no more; two that do at once can get half a module."""
        if self._imported is not None:
            self._imported.result()

    def baselines(self) -> Iterable[Baseline]:
        """Return the baselines, as soon as they are trained."""
        return self._train() if self._trained is None else self._trained.result()


def _import() -> None:
    for name in MODULES:
        import_module(name)
