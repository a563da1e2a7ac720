"""The steps of an engine, as passes: which lanes go through one together, and what comes of each.

Lanes of one family (`model/forward.py`) go through each pass together. What goes wrong with a lane
is its own result. Where memory runs out in a step, half of the lanes are parked, and go on when
others are done; none is lost, since those that had not moved take the same step again
(`places.py`).
"""

import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial

import torch

from mtl_core.model.forward import family
from mtl_core.training.device_memory import is_memory_error
from mtl_core.training.evaluation import advance
from mtl_core.training.lane import Lane
from mtl_core.training.places import Places
from mtl_core.training.results import EpochResult
from mtl_core.training.updates import take_together

Result = EpochResult | Exception  # the exceptions: Diverged, MemoryError, or what a lane raised


class Passes:
    """Takes the lanes of an engine on `device` through its steps.

    Attributes:
        results: What lanes came to, in the order in which it came, until somebody takes it.
        notes: What befell all of them, in words.
    """

    def __init__(self, places: Places, device: torch.device) -> None:
        self.results: list[tuple[Lane, Result]] = []
        self.notes: list[str] = []
        self._places, self._device = places, device
        self._lanes: Sequence[Lane] = ()
        self._through: set[Lane] = set()  # of the step under way
        self._has_told = False  # that passes break off

    def step(self, lanes: Sequence[Lane]) -> None:
        """Move every one of an engine's lanes that is wanted."""
        self._through.clear()
        self._lanes = lanes
        wanted = self._places.choose(lanes)
        for together in _families([lane for lane in wanted if lane.evaluation is None]):
            self._run(self._update, together)
        for together in _families([lane for lane in wanted if lane not in self._through]):
            self._run(self._evaluate, together)

    def forget(self, lane: Lane) -> None:
        """Let the results of a lane go."""
        self.results = [(of, result) for of, result in self.results if of is not lane]

    def _run(self, take: Callable[[list[Lane]], None], lanes: list[Lane]) -> None:
        """Take a pass of these lanes, again for those that are not through where it breaks off."""
        waiting = lanes
        while waiting := [lane for lane in waiting if not (lane in self._through or lane.parked)]:
            error = _attempt(take, waiting)
            if error is None:
                return
            left = [lane for lane in waiting if lane not in self._through]
            if is_memory_error(error):
                self._make_room(left, error)
            elif len(left) == 1:
                self._fail(left[0], error)
            else:  # whose fault it is shows when each is alone
                for lane in left:
                    self._run(take, [lane])
                self._tell_unless_one_failed(left, error)

    def _tell_unless_one_failed(self, lanes: list[Lane], error: Exception) -> None:
        """Say, once, what breaks off a pass of several lanes and of none: that fault is ours.

        Nothing comes out wrong by it, so nobody would notice that lanes are slow for it.
        """
        if not (self._has_told or any(lane.failure for lane in lanes)):
            self._has_told = True
            reason = f"{type(error).__name__}: {error}"
            self.notes.append(f"lanes are taken one by one, since together: {reason}")

    def _make_room(self, lanes: list[Lane], error: Exception) -> None:
        """Park half of the lanes; where there is none to park, the one that is left has failed."""
        count = self._places.halve(self._lanes, lanes)
        if count is None:
            failure = MemoryError(str(error))
            failure.__cause__ = error
            self._fail(lanes[0], failure)
            if self._places.unhalve():
                self.notes.append("one lane did not fit even alone: the others go on as before")
            return
        before, after = count
        self.notes.append(
            f"out of memory with {before} lanes side by side: from now on at most {after}"
        )

    def _update(self, lanes: list[Lane]) -> None:
        began = time.perf_counter()
        updates = [lane.next_update() for lane in lanes]
        try:
            take_together(updates)
        finally:
            seconds = time.perf_counter() - began
            for lane, update in zip(lanes, updates, strict=True):
                error = update.error
                if error is None and (update.done or not update.finite):
                    error = self._note(lane, partial(lane.note_update, update, seconds))
                if error is not None:
                    self._fail(lane, error)

    def _evaluate(self, lanes: list[Lane]) -> None:
        began = time.perf_counter()
        found = [(lane.model, lane.evaluation) for lane in lanes]
        ahead = [(model, e) for model, e in found if e is not None and not e.done]
        if ahead:  # the others ran out of memory when they were to end the epoch
            advance([model for model, _ in ahead], [evaluation for _, evaluation in ahead])
        seconds = time.perf_counter() - began
        errors = [self._note(lane, partial(lane.note_evaluation, seconds)) for lane in lanes]
        short = [error for error in errors if error is not None]
        if short:
            raise short[0]

    def _note(self, lane: Lane, note: Callable[[], EpochResult | None]) -> Exception | None:
        """Let the lane take note of its part of a pass, and file its result if it has one.

        Returns the exception where memory ran out; the lane is not through then.
        """
        try:
            result = note()
        except Exception as error:
            if is_memory_error(error):
                return error
            self._fail(lane, error)
            return None
        self._through.add(lane)
        if result is not None:
            self.results.append((lane, result))
        return None

    def _fail(self, lane: Lane, error: Exception) -> None:
        # A GPU that takes nothing any more says so again here, and no lane is at fault.
        wait_for(self._device)
        traceback.clear_frames(error.__traceback__)  # which hold the pass
        self._through.add(lane)
        lane.failure = error
        self.results.append((lane, error))


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _attempt(take: Callable[[list[Lane]], None], lanes: list[Lane]) -> Exception | None:
    """Return the exception, which no longer holds what the pass had made until then."""
    try:
        take(lanes)
    except Exception as error:
        traceback.clear_frames(error.__traceback__)
        return error
    return None


def _families(lanes: Sequence[Lane]) -> list[list[Lane]]:
    """Return the lanes that can go through one pass, together."""
    groups: dict[object, list[Lane]] = {}
    for lane in lanes:
        groups.setdefault(family(lane.config.encoder), []).append(lane)
    return list(groups.values())
