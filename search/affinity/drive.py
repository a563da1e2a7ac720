"""Measures how the tasks of a study relate, and keeps it: `affinity.json` beside the journal.

The look-ahead and the cosines come from a training of their own (`choice.py`), the attention from
the weights that the study kept of its best `layerwise_explicit` trial. The file says what it was
made of; where that is unchanged only the words on the search are written anew. Train and dev rows
alone are looked at.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from mtl_core.affinity.examples import examples
from mtl_core.affinity.measure import Measured, measure, steps_between
from mtl_core.affinity.token_attention import token_attention
from mtl_core.errors import ConfigError
from mtl_core.files import write_text
from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.training.config import TrialConfig
from mtl_core.training.device_memory import is_memory_error
from mtl_core.training.models import restore_model
from mtl_core.training.results import Diverged
from search.affinity.choice import Choice, choose, leader_of
from search.affinity.contents import contents
from search.affinity.file import AFFINITY, ATTENTION, FORMAT, read_affinity
from search.affinity.fit import fit
from search.record import CUT_OFF
from search.report.wording import count
from search.study_files import StudyFiles, kept_weights, threads_of_a_trial, trainer_of
from search.trial_record import Leader

_MANNER = 2  # of measuring; 1: products in the type of the training, which may be bfloat16
EXPLICIT, IMPLICIT = "layerwise_explicit", "layerwise_implicit"


def relate_tasks(study: StudyFiles, *, epochs: int | None = None, by_hand: bool = False) -> None:
    """Bring a study's `affinity.json` up to date.

    A study of one task and one without a score get none; nor, unless it is asked for by hand, one
    that was cut off or whose space says `search.affinity.epochs: 0`.

    Args:
        epochs: Of the training, whatever the space says.
        by_hand: Whether a user asks for it now.

    Raises:
        ConfigError: A user asks for it, and the training failed.
    """
    asked = study.space.search.affinity.epochs if epochs is None else epochs
    unwanted = asked == 0 or study.record.ended_reason in CUT_OFF
    choice = choose(study.record, asked)
    if (unwanted and not by_hand) or choice is None or study.encoded.n_tasks < 2:
        return
    made_of = _made_of(study, choice)
    found = read_affinity(study.folder)
    if found.get("fingerprint") != made_of:
        study.say(f"measuring how tasks relate, on {_on_what(choice)}")
        try:
            with threads_of_a_trial(study.space.search):
                found = _measured(study, choice) | {"fingerprint": made_of}
        except Exception as error:
            if not (isinstance(error, Diverged) or is_memory_error(error)):
                raise
            failed = f"how tasks relate could not be measured: {error}"
            if by_hand:  # a file of an earlier measurement is no answer
                raise ConfigError(f"{study.folder}: {failed}") from None
            study.say(failed)
            return
    found["fit"] = fit(found, study.record)
    write_text(study.folder / AFFINITY, json.dumps(found) + "\n")


def _made_of(study: StudyFiles, choice: Choice) -> str:
    """Return a hash of all that the measurements depend on."""
    kept = [leader_of(study.record, structure) for structure in (EXPLICIT, IMPLICIT)]
    content = [
        FORMAT,
        _MANNER,
        choice.trial.id,
        choice.trial.seed,
        choice.config.as_dict(),
        study.space.search.affinity.every,
        study.encoded.fingerprint,
        [None if leader is None else [leader.trial, leader.epoch] for leader in kept],
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _measured(study: StudyFiles, choice: Choice) -> dict[str, Any]:
    measured = _train(study, choice)
    explicit = _kept_model(study, EXPLICIT)
    attention = None
    if not isinstance(explicit, str):
        model, _, leader = explicit
        attention = token_attention(model.to(study.device), study.encoded, study.device)
    found = contents(study.encoded.names, measured, attention)
    absent = {}
    if isinstance(explicit, str):
        absent[ATTENTION] = explicit
    else:
        found["routes"][ATTENTION] |= {"trial": leader.trial, "epoch": leader.epoch}
    return {
        "format": FORMAT,
        "tasks": list(study.encoded.names),
        "trial": choice.trial.id,
        "structure": choice.config.sharing.structure,
        "borrowed": choice.borrowed,
        "epochs": choice.config.training.epochs,
        "dev": measured.epochs[-1].average,
        "steps": len(measured.steps),
        "absent": absent,
        **found,
        "examples": _examples(study),
    }


def _train(study: StudyFiles, choice: Choice) -> Measured:
    """Train the model that is measured, from its own seed, and measure it on the way."""
    trainer = trainer_of(study, choice.config, choice.trial.seed)
    steps = trainer.lane.steps
    n_rows = sum(len(row.examples) for step in steps for row in step)
    epochs, every = choice.config.training.epochs, study.space.search.affinity.every
    if every is None:
        every = steps_between(study.encoded.n_tasks, n_rows, len(steps), epochs)
    return measure(trainer, every=every)


def _kept_model(
    study: StudyFiles, structure: str
) -> tuple[MultiTaskEncoder, TrialConfig, Leader] | str:
    """Return the best model of a structure, on the CPU; or why there is none."""
    leader = leader_of(study.record, structure)
    if leader is None:
        return f"the study has no trial of {structure}, and none is trained for this alone"
    state = kept_weights(study, leader.trial, leader.epoch)
    if state is None:
        return f"the weights of {leader.trial}, epoch {leader.epoch}, are no longer kept"
    config = TrialConfig.from_dict(study.record.trials[leader.trial].config)
    return restore_model(study.encoded, config, state), config, leader


def _examples(study: StudyFiles) -> list[dict[str, Any]]:
    """Return dev texts with the attention of the study's best models that have task tokens."""
    found = []
    for structure in (EXPLICIT, IMPLICIT):
        kept = _kept_model(study, structure)
        if isinstance(kept, str):
            continue
        model, config, leader = kept
        for example in examples(model, config, study.corpus, study.encoded):
            found.append({**asdict(example), "structure": structure, "trial": leader.trial})
    return found


def _on_what(choice: Choice) -> str:
    what = f"{choice.trial.id}, trained again for {count(choice.config.training.epochs, 'epoch')}"
    return f"the settings of {what}, as stack_pooling" if choice.borrowed else what
