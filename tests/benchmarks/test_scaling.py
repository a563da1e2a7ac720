"""How the time of an epoch grows with lanes, tasks, layers and the length of the texts.

    python tests/benchmarks/test_scaling.py [--out scaling.svg] [--only lanes tasks ...]

Printed as a table and drawn: seconds for an epoch of one trial, dev rows included, which is the
time of the engine's step divided by its lanes. Each quantity grows alone, the others stay as in
`BASE`; lanes and layers on texts of 60 random words, tasks on the built-in corpus, lengths on
random words. Lines are drawn on logarithmic axes, where a cost in proportion rises by 45 degrees.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from corpora import Sample, builtin, random_texts
from lane_work import measure, same_trials
from machine import describe, make_console
from rich.table import Table

from mtl_core.model.config import EncoderConfig
from search.local_ray import local_cpus

STRUCTURE = "layerwise_implicit"
BATCH_SIZE = 50
ROWS = 100  # of a task
BASE = {"lanes": 1, "layers": 4, "words": 60}
SMALL = EncoderConfig(d_model=64, d_word=64, n_heads=4, d_ff=128)
TINY = EncoderConfig(d_model=12, d_word=12, n_heads=2, d_ff=16)
QUANTITIES = {
    "lanes": (1, 2, 4, 8, 16, 32, 64),
    "tasks": (4, 8, 16, 32, 64),
    "layers": (1, 2, 4, 8),
    "words": (12, 25, 50, 100, 200, 400),
}
MOST_LANES_ON_CPU = 16


@dataclass(frozen=True, kw_only=True)
class Point:
    """Seconds of an epoch of one trial where `quantity` has that value, and of one update."""

    quantity: str
    value: int
    seconds: float
    milliseconds_of_update: float


def measure_point(
    quantity: str, value: int, encoder: EncoderConfig, device: str, *, cache: Path | None = None
) -> Point:
    """Train two epochs and time the second."""
    size = BASE | {quantity: value}
    if quantity == "tasks":
        corpus = builtin(cache, n_tasks=value, rows=100, small_share=1, dev_rows=20, test_rows=2)
    else:
        corpus = random_texts([size["words"]] * ROWS, cache=cache)
    whole = Sample(corpus, blocks=1, rows=len(corpus.split(0, "train")), every=1)
    layers = {"n_layers": size["layers"]}
    encoder = EncoderConfig(**{**vars(encoder), **layers})
    trials = same_trials(size["lanes"], encoder, STRUCTURE, BATCH_SIZE)
    timing = measure(whole, trials, lanes=size["lanes"], device=device)
    seconds = (timing.update_seconds + timing.evaluation_seconds) / size["lanes"]
    update = 1000 * timing.update_seconds / timing.updates
    return Point(quantity=quantity, value=value, seconds=seconds, milliseconds_of_update=update)


def table_of(points: Sequence[Point]) -> Table:
    table = Table(title="cost of an epoch of one trial")
    columns = ("value", "seconds", "of the first", "in proportion", "ms/update")
    for column in ("quantity", *columns):
        table.add_column(column, justify="left" if column == "quantity" else "right")
    for point in points:
        first = next(p for p in points if p.quantity == point.quantity)
        table.add_row(
            point.quantity,
            str(point.value),
            f"{point.seconds:.3f}",
            f"{point.seconds / first.seconds:.2f}",
            f"{point.value / first.value:.1f}",
            f"{point.milliseconds_of_update:.2f}",
            end_section=point == [p for p in points if p.quantity == point.quantity][-1],
        )
    return table


def draw(points: Sequence[Point], path: Path) -> None:
    """Write one picture with a panel for each quantity, in the format of the path's suffix."""
    from matplotlib.figure import Figure  # without pyplot, which would look for a display

    quantities = list(dict.fromkeys(point.quantity for point in points))
    figure = Figure(figsize=(3.2 * len(quantities), 3.2), layout="constrained")
    panels = figure.subplots(1, len(quantities), sharey=True, squeeze=False)[0]
    for panel, quantity in zip(panels, quantities, strict=True):
        mine = [point for point in points if point.quantity == quantity]
        values = [point.value for point in mine]
        panel.loglog(values, [point.seconds for point in mine], "o-", base=2)
        panel.set_xlabel(quantity)
        panel.set_xticks(values, [str(value) for value in values])
        panel.grid(visible=True, alpha=0.3)
    panels[0].set_ylabel("seconds for an epoch of one trial")
    figure.savefig(path)


def test_every_quantity_has_its_rows_and_its_panel(tmp_path: Path) -> None:
    small = {"lanes": (1, 2), "tasks": (4, 6), "layers": (1, 2), "words": (4, 8)}
    points = [
        measure_point(quantity, value, TINY, "cpu", cache=tmp_path)
        for quantity, values in small.items()
        for value in values
    ]

    draw(points, tmp_path / "scaling.svg")

    table = table_of(points)
    make_console().print(table)
    assert table.row_count == len(points)
    picture = (tmp_path / "scaling.svg").read_text(encoding="utf-8")
    assert all(f"<!-- {quantity} -->" in picture for quantity in small)


@pytest.mark.slow
def test_the_cost_of_an_epoch_grows_at_most_in_proportion_to_lanes_tasks_and_layers() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ends = {"lanes": (1, 8), "tasks": (4, 64), "layers": (1, 8)}
    cost = {
        (quantity, value): measure_point(quantity, value, SMALL, device).seconds
        for quantity, values in ends.items()
        for value in values
    }

    assert cost["lanes", 8] <= 1.1 * cost["lanes", 1]
    for quantity, (low, high) in list(ends.items())[1:]:
        assert cost[quantity, high] <= 1.1 * high / low * cost[quantity, low], quantity


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("scaling.svg"), help="the picture")
    parser.add_argument("--only", nargs="+", choices=list(QUANTITIES), default=list(QUANTITIES))
    parser.add_argument("--published", action="store_true", help="the published widths")
    given = parser.parse_args()
    torch.set_num_threads(local_cpus())
    encoder = EncoderConfig() if given.published else SMALL
    most = 64 if device == "cuda" else MOST_LANES_ON_CPU
    points = [
        measure_point(quantity, value, encoder, device)
        for quantity in given.only
        for value in QUANTITIES[quantity]
        if quantity != "lanes" or value <= most
    ]
    console = make_console()
    console.print(table_of(points))
    draw(points, given.out)
    console.print(f"drawn in {given.out}; width {encoder.d_model}, {describe()}", highlight=False)


if __name__ == "__main__":
    main()
