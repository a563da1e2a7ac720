"""`--dry-run`: check the space and the data, show what would be searched, start nothing.

The time is an estimate from a probe: a few configurations of the space take some training steps in
this process. Early stopping is taken at its rule, that each rung lets one trial in
`reduction_factor` go on.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.console import Console, Group

from mtl_core.data.batches import plan_epoch
from mtl_core.data.config import OWN
from mtl_core.data.encode import encode
from mtl_core.data.encoded import EncodedCorpus
from mtl_core.data.own_texts import texts_path
from mtl_core.data.own_vectors import vectors_path
from mtl_core.data.readers import read_corpus
from mtl_core.model.drawing import plan_table
from mtl_core.seeding import stream
from mtl_core.training.config import TrialConfig
from mtl_core.training.estimate import estimate
from mtl_core.training.models import plan_of
from mtl_core.training.trainer import Trainer
from mtl_core.training.updates import take_alone
from search.compare import arm_keys, arms_of
from search.config import SearchConfig
from search.given_files import TRAINING_VECTORS, check_encoder, check_vectors
from search.lanes import Lanes, in_words, names
from search.place import Existing, Place, study_folder
from search.progress_view import duration
from search.rooms import local_engines
from search.scheduler import Asha
from search.space import Space, load_space
from search.study_files import threads_of_a_trial

SAMPLES = 300  # configurations drawn to see which plans there are
PROBES = 3  # configurations that are timed
PROBE_SECONDS = 1.0  # for each of them, after its first step


@dataclass(frozen=True)
class SearchEstimate:
    """What a search will take, as far as a probe can tell.

    Args:
        trials: Trials the search runs at most.
        epochs: Epochs that all trials train together, early stopping counted.
        seconds: Wall time of the trials on this machine.
        parameters: Fewest and most trainable parameters of the probed configurations, without
            word vectors and positions.
    """

    trials: int
    epochs: float
    seconds: float
    parameters: tuple[int, int]


def show_plan(
    path: str,
    *,
    data: str | None = None,
    out: str = "results",
    overrides: Sequence[str] = (),
    existing: Existing = "continue",
) -> None:
    """Print the search space, its plans and the estimate; raises `ConfigError` for any fault."""
    space = load_space(path, overrides, data=data)
    corpus = read_corpus(space.data)
    space.validate_for(corpus.names)
    Place(study_folder(out, space.name), existing, space, corpus).check()
    encoded = encode(corpus, space.data)
    console = Console()
    if space.data.vectors == OWN:
        console.print(TRAINING_VECTORS, highlight=False)
    covered = check_vectors(space, encoded, vectors_path(corpus, encoded, space.data))
    check_encoder(space, encoded)
    if space.warms_up:
        texts_path(corpus, encoded)
    for text in space.left_out:
        console.print(text, markup=False, highlight=False)
    console.print(space.table())
    for title, picture in plan_pictures(space, corpus.names, width=console.width):
        console.print()
        console.print(title, highlight=False)
        console.print(picture)
    found = estimate_search(space, encoded)
    if covered is not None:
        console.print(f"word vectors for {covered}", highlight=False)
    rows = sum(len(task.splits["train"]) for task in corpus.tasks)
    console.print()
    parameters = " to ".join(f"{number:,}" for number in dict.fromkeys(found.parameters))
    console.print(
        f"{len(corpus.names)} tasks, {rows:,} train rows; {found.trials} trials, about "
        f"{found.epochs:,.0f} epochs in all, about {duration(found.seconds)} on this machine "
        f"with {_lanes_in_words(space.search)}. From a probe of {PROBES} configurations "
        f"of {parameters} parameters; on top come {_on_top(space)}.",
        highlight=False,
    )
    if space.search.mode == "compare":
        console.print(_arms_in_words(space), highlight=False)
    console.print("Nothing was started: leave out --dry-run to search.")


def _on_top(space: Space) -> str:
    confirm = space.search.confirm
    parts = ["the linear baselines"]
    if space.warms_up:
        steps = f"{space.data.mlm.steps:,} steps"
        parts.append(f"a warm-up of {steps} for each size of encoder")
    if confirm.seeds:
        most = f"{confirm.seeds} to {confirm.max_seeds} runs of each shortlisted configuration"
        limit = f", {confirm.minutes:g} minutes at most" if confirm.minutes else ""
        return f"{' and '.join(parts)}, then {most} with fresh seeds{limit}"
    return " and ".join(["testing", *parts])


def _arms_in_words(space: Space) -> str:
    arms = arms_of(space.conditional, arm_keys(space.search))
    each = space.search.trials // len(arms)
    names = ", ".join(arm.name for arm in arms)
    return f"{len(arms)} arms of {each} trials each, none stopped early: {names}."


def _lanes_in_words(search: SearchConfig) -> str:
    """Say where trials train; how many lanes pay is measured when a search begins."""
    engines = names(local_engines(search))
    if search.lanes is not None:
        return in_words(Lanes(engines, search.lanes, search.workers))
    return f"{len(engines)} engine{'' if len(engines) == 1 else 's'}, a lane each"


def plan_pictures(space: Space, names: Sequence[str], *, width: int) -> Iterator[tuple[str, Group]]:
    """Yield a title and the layer x task grid of one plan for every structure of the space."""
    seen: dict[str, dict[int, TrialConfig]] = {}
    for config in _sampled(space, SAMPLES):
        depth = config.sharing.divergence_depth
        order = -1 if depth is None else depth if isinstance(depth, int) else max(depth)
        seen.setdefault(config.sharing.structure, {})[order] = config
    for structure, by_depth in sorted(seen.items()):
        depths = sorted(by_depth)
        config = by_depth[depths[len(depths) // 2]]
        plan = plan_of(config, len(names))
        title = structure
        if depths[-1] >= 0:
            listed = ", ".join(str(depth) for depth in depths if depth >= 0)
            title += f", divergence depth {listed}; here {config.sharing.divergence_depth}"
        yield title, plan_table(plan, names, width=width)


def estimate_search(space: Space, encoded: EncodedCorpus) -> SearchEstimate:
    """Estimate trials, epochs and wall time; takes a few training steps to see the speed."""
    search, size = space.search, space.size()
    trials = search.trials if size is None else min(search.trials, size)
    probed = list(_sampled(space, PROBES))
    epochs = [expected_epochs(config.training.epochs, search) for config in probed]
    per_epoch = [_seconds_per_epoch(encoded, config, search) for config in probed]
    per_trial = [n * seconds for n, seconds in zip(epochs, per_epoch, strict=True)]
    seconds = trials * sum(per_trial) / len(probed) / local_engines(search)
    if search.minutes is not None:
        seconds = min(seconds, search.minutes * 60)
    parameters = [estimate(encoded, config).parameters for config in probed]
    return SearchEstimate(
        trials=trials,
        epochs=trials * sum(epochs) / len(probed),
        seconds=seconds,
        parameters=(min(parameters), max(parameters)),
    )


def expected_epochs(epochs: int, search: SearchConfig) -> float:
    """Return the epochs of a trial on average when each rung lets one in so many go on."""
    if search.stopping is None:
        return float(epochs)
    asha = Asha(search.stopping)
    expected, going_on = 0.0, 1.0
    for epoch in range(1, epochs + 1):
        expected += going_on
        if asha.is_rung(epoch):
            going_on /= search.stopping.reduction_factor
    return expected


def _sampled(space: Space, count: int) -> Iterator[TrialConfig]:
    rng = stream(space.search.seed, "dry run")
    for _ in range(count):
        yield space.configure(space.sample(rng))


def _seconds_per_epoch(encoded: EncodedCorpus, config: TrialConfig, search: SearchConfig) -> float:
    """Time some steps, and count a word of dev as a third of a word of train."""
    with threads_of_a_trial(search):
        plain = replace(config, encoder=replace(config.encoder, mlm_warm_up=False))
        trainer = Trainer(encoded, plain, seed=0)
        trainer.model.train()
        steps = plan_epoch(trainer.lengths, encoded.names, config.batches, seed=0, epoch=1)
        take_alone(trainer.updater, steps[0])  # the first step also allocates
        began, words = time.perf_counter(), 0
        for step in steps:
            take_alone(trainer.updater, step)
            words += sum(int(trainer.lengths[row.task][row.examples].sum()) for row in step)
            if time.perf_counter() - began > PROBE_SECONDS:
                break
        per_word = (time.perf_counter() - began) / words
    of_train = estimate(encoded, config).words_per_epoch
    of_dev = sum(int(encoded.split(k, "dev").lengths.sum()) for k in range(encoded.n_tasks))
    return per_word * (of_train + of_dev / 3)
