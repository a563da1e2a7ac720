"""What all tasks of a model share: the groups of tables in which every task uses the same banks.

Task tokens of `layerwise_explicit` are shared as all tasks attend to them, and by that move them;
heads, gates, the own tokens of `layerwise_implicit`, and tokens that are detached are not. Weights
of n-grams are left out: they belong to the heads.
"""

from mtl_core.model.encoder import MultiTaskEncoder
from mtl_core.model.plan import SharingPlan, layer_group

WORDS = "words"


def shares_all_layers(plan: SharingPlan) -> bool:
    """Whether all tasks use one bank of the embedding and of each layer."""
    return all(plan.n_banks(layer) == 1 and min(row) == 0 for layer, row in enumerate(plan.groups))


def shared_groups(model: MultiTaskEncoder) -> tuple[str, ...]:
    """Return the groups that all tasks share and that are trained, from the words to the top."""
    plan = model.plan
    of_tasks = [plan.used_banks([task]) for task in range(plan.n_tasks)]
    alike = [g for g in of_tasks[0] if all(of[g] == of_tasks[0][g] for of in of_tasks)]
    words = [WORDS] if plan.n_banks(0) == 1 and model.words.requires_grad else []
    return (*words, *(g for g in alike if g in model.rows and g not in model.frozen))


def shared_layers(model: MultiTaskEncoder) -> tuple[str, ...]:
    """Return those of them that are layers, the words and the embedding among these."""
    layers = {WORDS, *(layer_group(layer) for layer in range(1 + model.plan.n_layers))}
    return tuple(group for group in shared_groups(model) if group in layers)
