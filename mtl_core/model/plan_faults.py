"""What can be wrong with a sharing plan: its table, its tokens, the layers at which tasks read."""

from typing import TYPE_CHECKING

from mtl_core.model.reads import OtherTokens, Readout, TokenAttention, Tokens

if TYPE_CHECKING:
    from mtl_core.model.plan import SharingPlan


def plan_faults(plan: "SharingPlan") -> list[str]:
    """Return all faults; where the table itself is wrong, those alone."""
    return _table_faults(plan) or [*_token_faults(plan), *_readout_faults(plan)]


def _table_faults(plan: "SharingPlan") -> list[str]:
    """Return what is wrong with the shapes and the kinds of numbers."""
    if len(plan.groups) < 2 or not plan.groups[0]:
        return ["groups: needs a row for the embedding, one for each layer, and at least one task"]
    widths = {len(row) for row in plan.groups}
    if len(widths) > 1:
        return [f"groups: rows of {sorted(widths)} tasks, all rows must have as many"]
    faults = []
    for name, row in (("token_depth", plan.token_depth), ("readout_layer", plan.readout_layer)):
        if len(row) != plan.n_tasks:
            faults.append(f"{name}: found {len(row)} numbers, must be one per task, {plan.n_tasks}")
    rows = (*plan.groups, plan.token_depth, plan.readout_layer)
    if any(type(number) is not int for row in rows for number in row):
        faults.append("groups, token_depth, readout_layer: must hold whole numbers only")
    return faults


def _token_faults(plan: "SharingPlan") -> list[str]:
    faults = []
    free = plan.tokens in (Tokens.CLS, Tokens.OWN, Tokens.ALL)
    if not free and any(plan.token_depth):
        faults.append(f"token_depth: tokens {plan.tokens.value!r} enter nowhere, must be 0 for all")
    for task, (depth, layer) in enumerate(zip(plan.token_depth, plan.readout_layer, strict=True)):
        if free and not 0 <= depth < layer:
            faults.append(
                f"token_depth of task {task}: found {depth}, must be 0 to {layer - 1}, "
                f"below the layer {layer} that it reads"
            )
    fitting = {Tokens.NONE: Readout.MEAN, Tokens.CLS_WORD: Readout.FIRST}
    allowed = [fitting[plan.tokens]] if not free else [Readout.MEAN, Readout.TOKEN]
    if plan.readout not in allowed:
        faults.append(
            f"readout: found {plan.readout.value!r}, with tokens {plan.tokens.value!r} "
            f"must be {' or '.join(repr(a.value) for a in allowed)}"
        )
    if plan.tokens is not Tokens.ALL:
        for name, value, published in (
            ("token_attention", plan.token_attention, TokenAttention.ALL),
            ("other_tokens", plan.other_tokens, OtherTokens.FREE),
        ):
            if value is not published:
                faults.append(
                    f"{name}: found {value.value!r}, with tokens {plan.tokens.value!r} "
                    f"must be {published.value!r}"
                )
    return faults


def _readout_faults(plan: "SharingPlan") -> list[str]:
    # A mean of embeddings is a model (layer 0); a token that passed no layer knows no word.
    lowest, top = (0 if plan.readout is Readout.MEAN else 1), plan.n_layers
    faults = [
        f"readout_layer of task {task}: found {layer}, must be {lowest} to {top}"
        for task, layer in enumerate(plan.readout_layer)
        if not lowest <= layer <= top
    ]
    if not faults and max(plan.readout_layer) < top:
        faults.append(
            f"readout_layer: no task reads above layer {max(plan.readout_layer)}, "
            f"so the table must have that many layers and not {top}"
        )
    return faults
