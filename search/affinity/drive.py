"""Measures how the tasks of a study relate, and keeps it: `affinity.json` beside the journal.

The look-ahead and the cosines come from a training of their own (`choice.py`), the attention from
the weights that the study kept of its best `layerwise_explicit` trial. The file says what it was
made of; where that is unchanged only the words on the search are written anew. Train and dev rows
alone are looked at.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from mtl_core.affinity.examples import examples
from mtl_core.affinity.measure import Measured, measure, steps_between
from mtl_core.affinity.token_attention import token_attention
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.own_texts import texts_path
from mtl_core.data.own_vectors import vectors_path
from mtl_core.data.task import Corpus
from mtl_core.data.vectors import vectors_for
from mtl_core.files import write_text
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.training.config import TrialConfig
from mtl_core.training.device_memory import is_memory_error
from mtl_core.training.mlm import WarmUp
from mtl_core.training.models import restore_model
from mtl_core.training.results import Diverged
from mtl_core.training.trainer import Trainer
from search.affinity.choice import Choice, choose, leader_of
from search.affinity.contents import contents
from search.affinity.file import AFFINITY, ATTENTION, FORMAT, read_affinity
from search.affinity.fit import fit
from search.record import StudyRecord
from search.snapshots import snapshot_path
from search.space import Space
from search.trial_record import Leader

EXPLICIT, IMPLICIT = "layerwise_explicit", "layerwise_implicit"
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The study that is measured.

    Args:
        device: Where to train; dev scores are those of the search on the same device.
    """

    space: Space
    record: StudyRecord
    corpus: Corpus
    encoded: EncodedCorpus
    folder: Path
    device: str
    say: Say


def relate_tasks(subject: Subject, *, epochs: int | None = None, by_hand: bool = False) -> None:
    """Bring a study's `affinity.json` up to date.

    A study of one task and one without a score get none; nor, unless it is asked for by hand, one
    that was interrupted or whose space says `search.affinity.epochs: 0`.

    Args:
        epochs: Of the training, whatever the space says.
        by_hand: Whether a user asks for it now.
    """
    asked = subject.space.search.affinity.epochs if epochs is None else epochs
    unwanted = asked == 0 or subject.record.ended_reason == "interrupted"
    choice = choose(subject.record, asked)
    if (unwanted and not by_hand) or choice is None or subject.encoded.n_tasks < 2:
        return
    made_of = _made_of(subject, choice)
    found = read_affinity(subject.folder)
    if found.get("fingerprint") != made_of:
        subject.say(f"measuring how tasks relate, on {_on_what(choice)}")
        try:
            found = _measured(subject, choice) | {"fingerprint": made_of}
        except Exception as error:
            if not (isinstance(error, Diverged) or is_memory_error(error)):
                raise
            subject.say(f"how tasks relate could not be measured: {error}")
            return
    dev_rows = [len(subject.encoded.split(k, "dev")) for k in range(subject.encoded.n_tasks)]
    found["fit"] = fit(found, subject.record, dev_rows)
    write_text(subject.folder / AFFINITY, json.dumps(found) + "\n")


def _made_of(subject: Subject, choice: Choice) -> str:
    """Return a hash of all that the measurements depend on."""
    kept = [leader_of(subject.record, structure) for structure in (EXPLICIT, IMPLICIT)]
    content = [
        FORMAT,
        choice.trial.id,
        choice.trial.seed,
        choice.config.as_dict(),
        subject.space.search.affinity.every,
        subject.encoded.fingerprint,
        [None if leader is None else [leader.trial, leader.epoch] for leader in kept],
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _measured(subject: Subject, choice: Choice) -> dict[str, Any]:
    measured = _train(subject, choice)
    explicit = _kept_model(subject, EXPLICIT)
    attention = None
    if not isinstance(explicit, str):
        model, _, leader = explicit
        attention = token_attention(model.to(subject.device), subject.encoded, subject.device)
    found = contents(subject.encoded.names, measured, attention)
    absent = {}
    if isinstance(explicit, str):
        absent[ATTENTION] = explicit
    else:
        found["routes"][ATTENTION] |= {"trial": leader.trial, "epoch": leader.epoch}
    return {
        "format": FORMAT,
        "tasks": list(subject.encoded.names),
        "trial": choice.trial.id,
        "structure": choice.config.sharing.structure,
        "borrowed": choice.borrowed,
        "epochs": choice.config.training.epochs,
        "dev": measured.epochs[-1].average,
        "steps": len(measured.steps),
        "absent": absent,
        **found,
        "examples": _examples(subject),
    }


def _train(subject: Subject, choice: Choice) -> Measured:
    """Train the model that is measured, from its own seed, and measure it on the way."""
    encoded, config, data = subject.encoded, choice.config, subject.space.data
    path = vectors_path(subject.corpus, encoded, data)
    vectors = None if path is None else vectors_for(encoded, path)
    warm_up = None
    if config.encoder.mlm_warm_up:
        texts = texts_path(subject.corpus, encoded)
        warm_up = WarmUp(encoded, texts, data.mlm, vectors=vectors, device=subject.device)
    trainer = Trainer(
        encoded,
        config,
        seed=choice.trial.seed,
        device=subject.device,
        vectors=vectors,
        warm_up=warm_up,
    )
    steps = trainer.lane.steps
    n_rows = sum(len(row.examples) for step in steps for row in step)
    epochs, every = config.training.epochs, subject.space.search.affinity.every
    if every is None:
        every = steps_between(encoded.n_tasks, n_rows, len(steps), epochs)
    return measure(trainer, every=every)


def _kept_model(
    subject: Subject, structure: str
) -> tuple[MultiTaskEncoder, TrialConfig, Leader] | str:
    """Return the best model of a structure, on the CPU; or why there is none."""
    leader = leader_of(subject.record, structure)
    if leader is None:
        return f"the study has no trial of {structure}, and none is trained for this alone"
    path = snapshot_path(subject.folder, leader.trial, leader.epoch)
    try:
        state = load_file(path)
    except (OSError, SafetensorError):
        return f"the weights of {leader.trial}, epoch {leader.epoch}, are no longer kept"
    config = TrialConfig.from_dict(subject.record.trials[leader.trial].config)
    return restore_model(subject.encoded, config, state), config, leader


def _examples(subject: Subject) -> list[dict[str, Any]]:
    """Return dev texts with the attention of the study's best models that have task tokens."""
    found = []
    for structure in (EXPLICIT, IMPLICIT):
        kept = _kept_model(subject, structure)
        if isinstance(kept, str):
            continue
        model, config, leader = kept
        for example in examples(model, config, subject.corpus, subject.encoded):
            found.append({**asdict(example), "structure": structure, "trial": leader.trial})
    return found


def _on_what(choice: Choice) -> str:
    what = f"{choice.trial.id}, trained again for {choice.config.training.epochs} epochs"
    return f"the settings of {what}, as stack_pooling" if choice.borrowed else what
