"""A study from end to end: `run_search`, and `Study`, which answers afterwards.

The same function serves the command line and notebooks; the caller's faults are `ConfigError`s.
Everything is checked before anything is written. A study lives in `<out>/<name>` (`place.py`); the
journal in it is the truth (`journal.py`), all else there is written from it (`finish.py`).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mtl_core.baselines import baseline_names, baselines
from mtl_core.data.audit import audit
from mtl_core.data.config import OWN
from mtl_core.data.encoded import EncodedCorpus, encode
from mtl_core.data.own_texts import texts_path
from mtl_core.data.own_vectors import vectors_path
from mtl_core.data.readers import read_corpus
from mtl_core.data.synthetic import PLANTED_TRUTH, planted_truth
from mtl_core.data.task import Corpus
from mtl_core.data.vectors import Coverage, coverage, vectors_for
from mtl_core.errors import ConfigError, check_names
from mtl_core.files import write_text
from mtl_core.foreign import check_inside
from mtl_core.model.config import EncoderConfig
from search.ahead import Ahead
from search.choice import Choice, best_choice
from search.environment import environment
from search.journal import JOURNAL
from search.objectives import WORST_TASK
from search.place import SPACE, WRITTEN, Existing, Place, study_folder
from search.pretrained import PRETRAINED, absolute
from search.progress import Progress
from search.record import StudyRecord
from search.space import Space, load_space
from search.space_checks import combinations
from search.views import AUDIT, ENVIRONMENT, PAGE, REPORT, write_views

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mtl_core.training.predictor import Predictor

ENDINGS = {  # those that a user has to be told of
    "exhausted": "every configuration of the space has been tried: the search ends",
    "failures": "too many trials fail: the search ends, the same command continues it when mended",
    "minutes": "the time is up: trials in training are left, more --minutes continues them",
}


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


def run_search(
    space: str | Path | Space,
    *,
    data: str | Path | None = None,
    out: str | Path = "results",
    overrides: Sequence[str] = (),
    address: str | None = None,
    insecure: bool = False,
    existing: Existing = "continue",
    progress: Progress | None = None,
) -> Study:
    """Search a space from end to end, write `<out>/<name>`, and return the study.

    Args:
        space: A YAML file, or a space that was loaded before (then `overrides` has no meaning).
        data: Folder with the tasks, in place of the space's `data.source`.
        overrides: `key=value` each, as `--set` takes them, such as `search.trials=20`.
        address: Ray cluster to join; None starts Ray on this machine.
        insecure: Join a cluster that asks for no token, and lets anyone run programs on it.
        existing: What to do about a study of that name: continue it if it is there, insist on
            continuing it ("resume"), or put it aside under another name and begin anew ("fresh").
        progress: Where to show what is going on; None: nowhere.

    Raises:
        ConfigError: The space, the data or the place for the results is at fault; nothing has been
            written then.
    """
    shown = progress or Progress()
    asked = space if isinstance(space, Space) else load_space(space, overrides, data=data)
    corpus = read_corpus(asked.data)
    asked.validate_for(corpus.names)
    place = Place(study_folder(out, asked.name), existing, asked, corpus)
    place.check()
    encoded = encode(corpus, asked.data)
    if asked.data.vectors == OWN:
        shown.say("training word vectors on the study's own texts, unless they are in the cache")
    vectors = vectors_path(corpus, encoded, asked.data)
    covered = check_vectors(asked, encoded, vectors)
    check_encoder(asked, encoded)
    texts = texts_path(corpus, encoded) if asked.warms_up else None
    for text in (*asked.left_out, *([] if covered is None else [f"word vectors for {covered}"])):
        shown.say(text)
    with place.opened(shown.say) as record:
        study = Study(place.folder, record)
        try:
            _write_question(study, asked, corpus, encoded, covered)
            sources = _Sources(corpus, encoded, vectors, texts)
            _search(study, asked, sources, address=address, insecure=insecure, shown=shown)
        finally:
            shown.close()
    return study


def open_study(folder: str | Path) -> Study:
    """Return a study that is on disk, to ask it; raises `ConfigError` if `folder` holds none."""
    path = Path(folder)
    if not (path / JOURNAL).is_file():
        raise ConfigError(f"{path}: no study is here; a study's folder holds {JOURNAL}")
    check_inside(path, WRITTEN)
    return Study(path, StudyRecord.load(path / JOURNAL))


def check_vectors(space: Space, encoded: EncodedCorpus, path: Path | None) -> Coverage | None:
    """Return how much of the corpus the word vectors of `path` cover; None where there is none.

    Raises:
        ConfigError: The file is at fault, or its vectors are not as wide as the encoder's.
    """
    if path is None:
        return None
    matrix, found = vectors_for(encoded, path)
    chosen = combinations(space.conditional, ("encoder.d_word",))
    widths = {values.get("encoder.d_word", EncoderConfig().d_word) for values in chosen}
    wrong = sorted(widths - {matrix.shape[1]})
    if wrong:
        raise ConfigError(
            f"{path}: its vectors have {matrix.shape[1]} numbers, encoder.d_word is "
            f"{', '.join(map(str, wrong))}; encoder.d_word: {matrix.shape[1]} would be right"
        )
    if not (covered := coverage(encoded, found)).types_found:
        none = f"{path}: has a vector for none of the {covered.types:,} words of the texts"
        raise ConfigError(
            f"{none}; a file of these words, spelt as by data.tokenizer, would be right"
        )
    return covered


def check_encoder(space: Space, encoded: EncodedCorpus) -> None:
    """Raise `ConfigError` where models cannot start from the pretrained encoder of the space."""
    (values,) = combinations(space.conditional, (PRETRAINED,))  # all trials share one
    if values[PRETRAINED] is None:
        return
    from mtl_core.training.models import check_pretrained  # brings torch

    check_pretrained(encoded, absolute(values[PRETRAINED]))


def _write_question(
    study: Study, space: Space, corpus: Corpus, encoded: EncodedCorpus, covered: Coverage | None
) -> None:
    """Write what was asked, and with what, beside the journal."""
    about = environment(
        seed=space.search.seed,
        data_source=corpus.source,
        data_fingerprint=corpus.content_hash(),
    )
    found = audit(corpus, encoded, space.data).as_dict()
    found["vectors"] = None if covered is None else asdict(covered)
    write_text(study.folder / SPACE, space.text)
    write_text(study.folder / ENVIRONMENT, json.dumps(about, indent=1) + "\n")
    write_text(study.folder / AUDIT, json.dumps(found, indent=1) + "\n")
    if corpus.layout == "builtin":
        truth = planted_truth(space.data.builtin).as_dict()
        write_text(study.folder / PLANTED_TRUTH, json.dumps(truth, indent=1) + "\n")


@dataclass(frozen=True)
class _Sources:
    """What a search learns from.

    Args:
        vectors: File of the word vectors to start from.
        texts: File of the texts that encoders are warmed up on.
    """

    corpus: Corpus
    encoded: EncodedCorpus
    vectors: Path | None
    texts: Path | None


def _search(
    study: Study,
    space: Space,
    sources: _Sources,
    *,
    address: str | None,
    insecure: bool,
    shown: Progress,
) -> None:
    from search.tuner import run_trials

    corpus, encoded = sources.corpus, sources.encoded
    if sources.texts is not None:
        shown.say("encoders are warmed up by the first trials, unless they are in the cache")
    wanted = any(name not in study.record.baselines for name in baseline_names(corpus))
    ahead = Ahead(lambda: baselines(corpus) if wanted else ())
    reason = run_trials(
        space,
        encoded.path,
        study.record,
        study.folder,
        vectors=sources.vectors,
        texts=sources.texts,
        address=address,
        insecure=insecure,
        progress=shown,
        ahead=ahead,
    )
    if reason in ENDINGS:
        shown.say(ENDINGS[reason])
    if study.record.confirmation.ended == "minutes":
        shown.say("the time is up: runs of the confirmation are left, more time continues them")
    ahead.wait_for_imports()
    from search.finish import finish  # brings torch, which the search itself does without

    trained = ahead.baselines
    finish(space, study.record, corpus, encoded, study.folder, say=shown.say, trained=trained)
