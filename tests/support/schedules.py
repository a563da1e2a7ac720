"""Random comings and goings of lanes, played on two engines at once.

A lane is opened, held, let go on, closed, moved (its checkpoint is restored, in the other engine or
in the same) or spoiled (its weights are no numbers any more) between any two steps. `Company` plays
a schedule and notes what each lane came to; after each step it checks that exactly the right lanes
have moved. What they ought to come to is for the test to say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from hypothesis import strategies as st
from random_trials import Trial
from torch import Tensor

from mtl_core.data.encoded import EncodedCorpus
from mtl_core.training.best import Best
from mtl_core.training.checkpoint import read_checkpoint, write_checkpoint
from mtl_core.training.engine import Engine
from mtl_core.training.lane import Lane
from mtl_core.training.models import copy_parameters
from mtl_core.training.results import Diverged, EpochResult

_LONGEST = 500  # calls of `step`, far more than any schedule needs
KINDS = ("move", "move", "move", "hold", "release", "close", "spoil")


@dataclass(frozen=True)
class Event:
    """What happens to the lane of a trial before a step.

    Args:
        at: Number of the step.
        trial: Number of the trial.
        elsewhere: A lane is opened in the second engine, or moved to the other one.
        on_disk: A moved lane's checkpoint goes through a file.
    """

    at: int
    kind: str
    trial: int
    elsewhere: bool = False
    on_disk: bool = False


@st.composite
def schedules(draw: st.DrawFn, n_trials: int) -> list[Event]:
    """Return a schedule in which every trial is opened, most of them in the first engine."""
    early, late = st.integers(0, 4), st.integers(1, 15)
    rarely, numbers = st.sampled_from([False, False, True]), st.integers(0, n_trials - 1)
    opened = [Event(draw(early), "open", trial, draw(rarely)) for trial in range(n_trials)]
    event = st.builds(Event, late, st.sampled_from(KINDS), numbers, rarely, st.booleans())
    others = draw(st.lists(event, min_size=3, max_size=10))
    return sorted([*opened, *others], key=lambda event: event.at)


@dataclass
class Member:
    """A lane that is or was open, and what it has come to.

    Args:
        engine: 0 or 1.
        failed: What stands in place of an epoch's result.
        steps: Updates it has taken.
        weights, learned, best: Its parameters after these, those of its weighting, and its best
            epochs; noted when it is closed, or at the end.
    """

    lane: Lane
    engine: int
    results: list[EpochResult] = field(default_factory=list)
    failed: Exception | None = None
    spoiled: bool = False
    open: bool = True
    held: bool = False
    steps: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)
    learned: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Best] = field(default_factory=dict)

    @property
    def wanted(self) -> bool:
        """Whether a step is to move it."""
        return self.open and not self.held and not self.failed and self.lane.ended is None

    def hold(self, held: bool) -> None:
        self.held = self.lane.held = held

    def note_where_it_is(self) -> None:
        self.weights = copy_parameters(self.lane.model)
        of_weighting = self.lane.weighting.named_parameters()
        self.best = dict(self.lane.best)
        self.learned = {name: p.detach().clone() for name, p in of_weighting}


class Company:
    """Two engines and the lanes of `trials`; `members` holds those that were opened, by number."""

    def __init__(self, corpus: EncodedCorpus, trials: Sequence[Trial], folder: Path) -> None:
        self.trials, self.folder = trials, folder
        self.engines = (Engine(corpus), Engine(corpus))
        self.members: dict[int, Member] = {}

    def play(self, events: Sequence[Event]) -> None:
        """Play the schedule, and then let every lane go on to its end."""
        kinds: dict[str, Callable[[Member, Event], None]] = {
            "move": self._move,
            "hold": lambda member, _: member.hold(True),
            "release": lambda member, _: member.hold(False),
            "close": self._close,
            "spoil": self._spoil,
        }
        now = 0
        for event in events:
            for _ in range(event.at - now):
                self._step()
            now = event.at
            member = self.members.get(event.trial)
            if event.kind == "open":
                self._open(event)
            elif member and member.open:
                kinds[event.kind](member, event)
        self._finish()

    def _finish(self) -> None:
        for member in self.members.values():
            member.hold(False)
        steps = 0
        while any(member.wanted for member in self.members.values()):
            self._step()
            steps += 1
            assert steps < _LONGEST
        for member in self.members.values():
            if member.open:
                member.note_where_it_is()

    def _step(self) -> None:
        """Take a step of both engines, and see who moved."""
        wanted = {n: m for n, m in self.members.items() if m.wanted}
        updating = {n for n, m in wanted.items() if m.lane.evaluation is None}
        for number, engine in enumerate(self.engines):
            engine.step()
            for lane, result in engine.results():
                (member,) = [m for m in self.members.values() if m.lane is lane]
                assert member in wanted.values()
                assert member.engine == number
                self._note(member, result)
            theirs = [m.lane for m in self.members.values() if m.open and m.engine == number]
            assert set(engine.lanes) == set(theirs)
        for number, member in self.members.items():
            moved = member.lane.updater.steps_done - member.steps
            assert moved == (number in updating) or member.failed, (number, moved)
            member.steps += moved

    def _note(self, member: Member, result: object) -> None:
        if isinstance(result, EpochResult):
            member.results.append(result)
            assert member.lane.epoch == len(member.results)
        elif member.spoiled and isinstance(result, Diverged):
            assert member.lane.failure is result
            member.failed = result
        else:
            raise AssertionError(f"a lane failed: {result!r}")

    def _open(self, event: Event) -> None:
        trial, engine = self.trials[event.trial], int(event.elsewhere)
        lane = self.engines[engine].open(trial.config, trial.seed)
        self.members[event.trial] = Member(lane, engine)

    def _close(self, member: Member, _: Event) -> None:
        member.note_where_it_is()
        self.engines[member.engine].close(member.lane)
        member.open = False

    def _move(self, member: Member, event: Event) -> None:
        if member.failed:
            return
        checkpoint = self.engines[member.engine].checkpoint(member.lane)
        self.engines[member.engine].close(member.lane)
        if event.on_disk:
            path = self.folder / "lane.safetensors"
            write_checkpoint(path, checkpoint)
            checkpoint = read_checkpoint(path)
        if event.elsewhere:
            member.engine = 1 - member.engine
        member.lane = self.engines[member.engine].restore(checkpoint)
        member.hold(member.held)
        assert member.lane.updater.steps_done == member.steps

    def _spoil(self, member: Member, _: Event) -> None:
        """Make the weights of the heads no numbers, before an update, which will notice it."""
        if member.lane.evaluation is None and member.lane.ended is None:
            with torch.no_grad():
                member.lane.model.get_parameter("head_bias").fill_(torch.nan)
            member.spoiled = True
