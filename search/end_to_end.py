"""A search from end to end: `run_search`, from what is asked to the study that answers.

The same function serves the command line and notebooks; the caller's faults are `ConfigError`s.
Everything is checked before anything is written.
"""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from mtl_core.baselines import baseline_names, baselines
from mtl_core.data.audit import audit
from mtl_core.data.config import OWN
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.own_texts import texts_path
from mtl_core.data.own_vectors import vectors_path
from mtl_core.data.readers import read_corpus
from mtl_core.data.synthetic import PLANTED_TRUTH, planted_truth
from mtl_core.data.task import Corpus
from mtl_core.data.vectors import Coverage
from mtl_core.files import write_text
from search.ahead import Ahead
from search.environment import environment
from search.given_files import TRAINING_VECTORS, check_encoder, check_vectors
from search.place import SPACE, Existing, Place, study_folder
from search.progress import Progress
from search.rooms import check_local
from search.space import Space, load_space
from search.study import Study
from search.views import AUDIT, ENVIRONMENT
from search.workplace import EngineFiles

ENDINGS = {  # those that a user has to be told of
    "exhausted": "every configuration of the space has been tried: the search ends",
    "failures": "too many trials fail: the search ends, the same command continues it when mended",
    "minutes": "the time is up: trials in training are left, more --minutes continues them",
}


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
    if address is None:
        check_local(asked.search)
    corpus = read_corpus(asked.data)
    asked.validate_for(corpus.names)
    place = Place(study_folder(out, asked.name), existing, asked, corpus)
    place.check()
    encoded = encode(corpus, asked.data)
    if asked.data.vectors == OWN:
        shown.say(TRAINING_VECTORS)
    vectors = vectors_path(corpus, encoded, asked.data)
    covered = check_vectors(asked, encoded, vectors)
    check_encoder(asked, encoded)
    texts = texts_path(corpus, encoded) if asked.warms_up else None
    for text in (*asked.left_out, *([] if covered is None else [f"word vectors for {covered}"])):
        shown.say(text)
    with place.opened(shown.say) as record, closing(shown):
        study = Study(place.folder, record)
        _write_question(study, asked, corpus, encoded, covered)
        files = EngineFiles(encoded.path, vectors, texts)
        _search(
            study, asked, corpus, encoded, files, address=address, insecure=insecure, shown=shown
        )
    return study


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


def _search(
    study: Study,
    space: Space,
    corpus: Corpus,
    encoded: EncodedCorpus,
    files: EngineFiles,
    *,
    address: str | None,
    insecure: bool,
    shown: Progress,
) -> None:
    from search.tuner import run_trials

    if files.texts is not None:
        shown.say("encoders are warmed up by the first trials, unless they are in the cache")
    wanted = any(name not in study.record.baselines for name in baseline_names(corpus))
    ahead = Ahead(lambda: baselines(corpus) if wanted else ())
    reason = run_trials(
        space,
        files,
        study.record,
        study.folder,
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
