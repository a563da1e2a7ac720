"""`branchpoint affinity`: how the tasks of a study relate, measured after its search has ended."""

from collections.abc import Callable
from pathlib import Path

from mtl_core.data.encode import encode
from mtl_core.data.readers import read_corpus
from mtl_core.errors import ConfigError
from search.affinity.drive import relate_tasks
from search.affinity.file import AFFINITY, read_affinity
from search.place import SPACE
from search.report.affinity_words import affinity_section
from search.report.wording import wrapped
from search.space import load_space
from search.study import open_study
from search.study_files import StudyFiles, device_of


def measure_study(
    folder: Path,
    *,
    epochs: int | None = None,
    data: str | None = None,
    say: Callable[[str], None] = print,
) -> str:
    """Measure, write the report anew, and return what there is to say.

    Args:
        epochs: Of the training; None: as the study's space says.
        data: Where the study's data are, if no longer where its space says.

    Raises:
        ConfigError: There is no study, its data are gone or have changed, or it cannot be measured.
    """
    study = open_study(folder)
    if epochs is not None and epochs < 1:
        raise ConfigError(f"--epochs: found {epochs}, a whole number of at least 1 would be right")
    space = load_space(folder / SPACE, data=data)
    try:
        corpus = read_corpus(space.data)
    except ConfigError as error:
        hint = f"{folder}: measuring needs the data of the study; --data says where they are now"
        raise ConfigError([*error.faults, hint]) from None
    if study.record.header.get("data_fingerprint") != corpus.content_hash():
        raise ConfigError(
            f"{folder}: {corpus.source} holds other data than those of the study; --data says "
            "where those are that it was made of"
        )
    files = StudyFiles(
        space=space,
        record=study.record,
        corpus=corpus,
        encoded=encode(corpus, space.data),
        folder=folder,
        device=device_of(space),
        say=say,
    )
    relate_tasks(files, epochs=epochs, by_hand=True)
    found = read_affinity(folder)
    if not found:
        raise ConfigError(f"{folder}: no {AFFINITY} could be made")
    study.write_report()
    return wrapped(affinity_section(found))
