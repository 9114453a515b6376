"""The level buffer: the levels worth another visit, kept on the device, every operation over whole batches.

What it keeps and how it weighs it follows prioritised level replay (Jiang, Grefenstette and Rocktäschel, ICML 2021);
its rules are those of JaxUED's ``LevelSampler`` (Coward, Beukman and Foerster, 2024), which takes levels one by one.
``LevelBuffer`` lists the differences.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from kinetix_ued.levels import content_hash

from .groups import group_max, group_mean, group_slots
from .matching import find_keys, last_of_equals
from .priorities import PRIORITISATIONS, draw, normalise, rank_weights, sorted_scores, topk_weights

_EMPTY = -jnp.inf  # score of an empty slot: below every score a level can have


@struct.dataclass
class BufferState:
    """What a level buffer holds. C slots; the first ``size`` of them are filled.

    Attributes:
        levels: any pytree, leading axis C
        score: -inf in empty slots (C)
        timestamp: value of ``clock`` when the level was last played (C) int32
        extras: whatever else is kept of each level, any pytree, leading axis C
        size: filled slots () int32
        clock: levels that were drawn from the buffer or offered to it so far () int32
        inserted: levels that ever entered it () int32
        content: key of each level's content (C, 2) uint32; () unless the buffer is ``unique``
    """

    levels: Any
    score: jax.Array
    timestamp: jax.Array
    extras: Any
    size: jax.Array
    clock: jax.Array
    inserted: jax.Array
    content: Any = ()


@dataclasses.dataclass(frozen=True)
class LevelBuffer:
    """Settings of a level buffer, and the pure functions over its state.

    A slot's replay weight is ``(1 - staleness_coefficient) * score weight + staleness_coefficient * staleness weight``.
    The staleness weight is proportional to the number of levels seen since this one was last played. Every operation
    is a few sorts and scatters over the slots, whatever the batch; under ``jax.jit`` with the state donated it changes
    the state in place.

    Departures from JaxUED's ``LevelSampler``:

    - Weights are computed once a batch, not again for every level of it (see ``insert`` and ``sample``).
    - With the top-k prioritisation all levels beyond the best k weigh the same; the one with the lowest score leaves
      first where staleness plays no part, not the one in the first slot. The softmax has a temperature.
    - A score that is not finite means that nothing was measured: such a level never enters, and a level that is in
      the buffer keeps the score it has.
    - An empty buffer is never ready, and a staleness sum cannot overflow.
    - A level that comes up more than once in a batch gets the mean of its scores; JaxUED leaves it the last one.
    - ``unique`` is JaxUED's ``duplicate_check``, by keys of 64 bits instead of whole levels: a batch's levels that are
      in the buffer are renewed first, and then the new ones come in, each once. JaxUED takes them as they come.

    Raises:
        ValueError: for a setting outside its range.
    """

    capacity: int = 4000
    """Number of slots."""
    prioritisation: str = "rank"
    """``rank``: score weight proportional to rank ** (-1 / temperature); ``topk``: softmax of score / temperature over
    the ``topk`` highest scores."""
    temperature: float = 1.0
    """Lower prefers the highest scores more."""
    staleness_coefficient: float = 0.3
    """Share of the staleness weight, 0 to 1."""
    minimum_fill: float = 0.5
    """Share of the slots that must be filled before levels are replayed, 0 to 1."""
    replay_probability: float = 0.5
    """Probability of a replay once the buffer is ready, 0 to 1."""
    topk: int = 8
    """Levels that take part in the top-k prioritisation."""
    unique: bool = False
    """Whether a level that equals one in the buffer renews that one's score and extras instead of entering again."""
    key_of: Callable[[Any], jax.Array] = content_hash
    """``key_of(levels) -> (n, 2) uint32`` of n levels, equal for equal levels; used where levels are ``unique``."""

    def __post_init__(self):
        for name in ("capacity", "topk"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} counts levels, so it must be an integer of at least 1; got {value!r}")
        if self.prioritisation not in PRIORITISATIONS:
            known = ", ".join(PRIORITISATIONS)
            raise ValueError(f"unknown prioritisation {self.prioritisation!r}: use one of {known}")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be above 0 (1 is usual, lower is greedier); got {self.temperature!r}")
        for name in ("staleness_coefficient", "minimum_fill", "replay_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1; got {getattr(self, name)!r}")
        if not isinstance(self.unique, bool):
            raise ValueError(f"unique is either True or False; got {self.unique!r}")
        if not callable(self.key_of):
            raise ValueError(f"key_of must be a function of levels that returns (n, 2) uint32; got {self.key_of!r}")

    def init(self, example_level: Any, extras: Any = ()) -> BufferState:
        """An empty buffer for levels, and extras of a level, with the shapes and dtypes of these examples."""
        repeat = lambda x: jnp.broadcast_to(jnp.asarray(x), (self.capacity, *jnp.shape(x))).copy()
        if self.unique:
            one = lambda: self._keys(jax.tree.map(lambda x: jnp.asarray(x)[None], example_level), 1)
            jax.eval_shape(one)  # refuses a key_of that does not fit
        return BufferState(
            levels=jax.tree.map(repeat, example_level),
            score=jnp.full(self.capacity, _EMPTY, jnp.float32),
            timestamp=jnp.zeros(self.capacity, jnp.int32),
            extras=jax.tree.map(repeat, extras),
            # Three arrays, not one thrice: a state whose leaves share memory cannot be donated.
            size=jnp.zeros((), jnp.int32),
            clock=jnp.zeros((), jnp.int32),
            inserted=jnp.zeros((), jnp.int32),
            content=jnp.zeros((self.capacity, 2), jnp.uint32) if self.unique else (),
        )

    def filled(self, state: BufferState) -> jax.Array:
        """Which slots hold a level (C) bool."""
        return jnp.arange(self.capacity) < state.size

    def staleness(self, state: BufferState) -> jax.Array:
        """Levels seen since each slot's level was last played, 0 in empty slots (C)."""
        return jnp.where(self.filled(state), state.clock - state.timestamp, 0).astype(jnp.float32)

    def weights(self, state: BufferState) -> jax.Array:
        """Probability of each slot to be replayed (C): 0 in empty slots, sums to 1 unless the buffer is empty."""
        filled, staleness = self.filled(state), self.staleness(state)
        if self.prioritisation == "rank":
            by_score = rank_weights(state.score, self.temperature)  # empty slots come last
        else:
            by_score = topk_weights(state.score, self.topk, self.temperature)
        # Right after its levels were all played at once nothing is stale: any of them will do.
        staleness = jnp.where(jnp.any(staleness > 0), staleness, filled.astype(jnp.float32))
        share = self.staleness_coefficient
        return (1 - share) * normalise(jnp.where(filled, by_score, 0)) + share * normalise(staleness)

    def ready(self, state: BufferState) -> jax.Array:
        """Whether enough slots are filled to replay from () bool."""
        # Compared in whole levels: a share of the capacity in single precision may miss its bound by a rounding.
        return state.size >= max(1, math.ceil(self.minimum_fill * self.capacity))

    def decide(self, key: jax.Array, state: BufferState) -> jax.Array:
        """Whether to replay now: with ``replay_probability`` where the buffer is ready () bool."""
        return self.ready(state) & jax.random.bernoulli(key, jnp.float32(self.replay_probability))

    def sample(
        self, key: jax.Array, state: BufferState, n: int, weights: jax.Array | None = None
    ) -> tuple[BufferState, jax.Array, Any]:
        """Draw n levels and mark them as played: (state, slots (n) int32, levels with leading axis n).

        Draws are independent, so a level may come up more than once, as in JaxUED; there the staleness changes
        from draw to draw, here it is that of the batch's beginning. Of an empty buffer the levels mean nothing.

        Args:
            weights: what to draw by, of any sum and 0 in empty slots (C); by default the replay weights
        """
        weights = self.weights(state) if weights is None else weights
        slots = jnp.minimum(draw(key, weights, n), jnp.maximum(state.size - 1, 0))
        return self.touch(state, slots), slots, self.get(state.levels, slots)

    def find(self, state: BufferState, levels: Any) -> jax.Array:
        """The slot of each of n levels (n) int32, -1 for one that is not in the buffer.

        Raises:
            ValueError: unless the buffer is ``unique``; others hold no keys.
        """
        if not self.unique:
            raise ValueError("only a buffer of unique levels can find one: make it LevelBuffer(..., unique=True)")
        wanted = self._keys(levels, len(jax.tree.leaves(levels)[0]))
        return find_keys(state.content, wanted, self.filled(state))

    def group(self, levels: Any, slots: jax.Array) -> jax.Array:
        """Groups of rows with the same level (n) int32, see groups.py: the same slot; if ``unique``, equal content."""
        if not self.unique:
            return group_slots(slots)
        return last_of_equals(self._keys(levels, len(slots)), jnp.ones(len(slots), bool))

    def get(self, tree: Any, slots: jax.Array) -> Any:
        """Rows ``slots`` (n) of ``state.levels`` or ``state.extras``; slot -1 reads slot 0."""
        return jax.tree.map(lambda x: x[jnp.maximum(slots, 0)], tree)

    def touch(self, state: BufferState, slots: jax.Array) -> BufferState:
        """Mark the levels in ``slots`` (n) as played now, one after the other; slot -1 stands for no level."""
        valid = slots >= 0
        now = state.clock + jnp.cumsum(valid.astype(jnp.int32))
        timestamp = state.timestamp.at[self._target(slots)].max(now, mode="drop")
        return state.replace(timestamp=timestamp, clock=state.clock + valid.sum(dtype=jnp.int32))

    def update(self, state: BufferState, slots: jax.Array, scores: jax.Array, extras: Any = ()) -> BufferState:
        """New scores (n) and extras of the levels in ``slots`` (n).

        Rows with slot -1 or a score that is not finite change nothing. Where a slot comes up more than once, its score
        is the mean over those of its rows that do, and its extras are those of the last of them: what is kept of a
        level must be summed up over its environments before, as the functions of episodes.py do.

        Raises:
            ValueError: when the extras do not have the structure and shapes the buffer was made for.
        """
        _check("extras", extras, state.extras, len(slots))
        scores, counts = _merged(scores, slots >= 0, group_slots(slots))
        # One row of a slot writes: scatters with repeated targets have no defined order on a GPU.
        target = self._target(jnp.where(counts, slots, -1))
        return state.replace(
            score=state.score.at[target].set(scores, mode="drop"), extras=_write(state.extras, target, extras)
        )

    def insert(
        self, state: BufferState, levels: Any, scores: jax.Array, extras: Any = (), where: jax.Array | None = None
    ) -> tuple[BufferState, jax.Array]:
        """Offer n levels, of which the best enter: (state, slot of each (n) int32, -1 for a level that stays out).

        As if the levels came one by one, the highest score first, and each took a free slot or else that of the
        least-weighted level if it scores higher than that one. Weights are those before the batch, and newcomers do
        not push each other out. With staleness_coefficient 0 the buffer so keeps the highest scores of both.

        Where levels are ``unique``, those that are in the buffer do not enter: first of all they get the new score and
        extras, higher or not, and count as played now. Equal levels in the batch are one, with the mean of the scores
        that were measured, extras and time of the last of these, and all get its slot.

        Args:
            levels: leading axis n
            scores: a level whose score is not finite does not enter (n)
            extras: leading axis n
            where: which rows are offered at all, default all (n) bool

        Raises:
            ValueError: when levels or extras do not have the structure and shapes the buffer was made for.
        """
        n = len(scores)
        _check("levels", levels, state.levels, n)
        _check("extras", extras, state.extras, n)
        where = jnp.ones(n, bool) if where is None else where
        now = state.clock + jnp.cumsum(where.astype(jnp.int32))
        measured = where & jnp.isfinite(scores)
        new, keys = measured, state.content  # () unless unique
        if self.unique:
            keys = self._keys(levels, n)
            known = jnp.where(where, find_keys(state.content, keys, self.filled(state)), -1)
            state = self.update(state, known, scores, extras)
            state = state.replace(timestamp=state.timestamp.at[self._target(known)].max(now, mode="drop"))
            same = last_of_equals(keys, measured)
            scores, stands = _merged(scores, measured, same)
            new = stands & (known < 0)

        candidate = jnp.where(new, scores, _EMPTY)
        chosen = min(n, self.capacity)
        best = jnp.argsort(-candidate, stable=True)[:chosen]
        victims = self._least(state, chosen)
        # A newcomer that fails to beat the least-weighted level ends the matter: those after it score lower still.
        enters = jnp.cumsum(candidate[best] <= state.score[victims]) == 0
        slots = jnp.full(n, -1, jnp.int32).at[best].set(jnp.where(enters, victims, -1))

        target = self._target(slots)
        count = enters.sum(dtype=jnp.int32)
        state = state.replace(
            levels=_write(state.levels, target, levels),
            score=state.score.at[target].set(scores, mode="drop"),
            timestamp=state.timestamp.at[target].set(now, mode="drop"),
            extras=_write(state.extras, target, extras),
            size=jnp.minimum(state.size + count, self.capacity),
            clock=state.clock + where.sum(dtype=jnp.int32),
            inserted=state.inserted + count,
            content=_write(state.content, target, keys),
        )
        if self.unique:
            # A newcomer may have taken the slot of a level that was just renewed.
            still = (known >= 0) & (self.get(state.content, known) == keys).all(axis=1)
            slots = jnp.where(where, jnp.where(still, known, slots[same]), -1)
        return state, slots

    def evict(self, state: BufferState, slots: jax.Array) -> BufferState:
        """Remove the levels in ``slots`` (n); slot -1 and empty slots stand for no level, a slot may come up again.

        Filled slots stay the first ones: the last levels move into the gaps, so slots noted before mean others now.
        """
        n = min(len(slots), self.capacity)
        place = jnp.arange(self.capacity)
        out = jnp.zeros(self.capacity, bool).at[self._target(slots)].set(True, mode="drop") & self.filled(state)
        size = state.size - out.sum(dtype=jnp.int32)
        # As many gaps lie below the new size as levels above it, n of each at most: pair them in order.
        first = lambda mask: jnp.nonzero(mask, size=n, fill_value=self.capacity)[0]
        gaps, movers = first(out & (place < size)), first(self.filled(state) & ~out & (place >= size))
        move = lambda tree: _write(tree, gaps, self.get(tree, jnp.minimum(movers, self.capacity - 1)))
        return state.replace(
            levels=move(state.levels),
            score=jnp.where(place < size, move(state.score), _EMPTY),
            timestamp=move(state.timestamp),
            extras=move(state.extras),
            size=size,
            content=move(state.content),
        )

    def _keys(self, levels: Any, n: int) -> jax.Array:
        keys = self.key_of(levels)
        if keys.shape != (n, 2) or keys.dtype != jnp.uint32:
            raise ValueError(
                f"key_of must return two uint32 for each level, shape {(n, 2)}; got {keys.dtype} of shape {keys.shape}"
            )
        return keys

    def _target(self, slots: jax.Array) -> jax.Array:
        """Slots for a scatter that drops what lies beyond the end (-1 would count from the end)."""
        return jnp.where(slots >= 0, slots, self.capacity)

    def _least(self, state: BufferState, n: int) -> jax.Array:
        """The n slots to fill next (n) int32: free ones from the first, then by increasing weight."""
        # Without staleness the order of weights is that of scores, and no sort of the whole buffer is needed. It also
        # stays right where weights tie: beyond the top k, and where a low temperature rounds them to zero.
        worth = state.score if self.staleness_coefficient == 0 else self.weights(state)
        return jax.lax.top_k(jnp.where(self.filled(state), -worth, jnp.inf), n)[1].astype(jnp.int32)


def score_quantiles(state: BufferState, quantiles: tuple[float, ...]) -> jax.Array:
    """Quantiles of the filled slots' scores, linearly interpolated (len(quantiles)); 0 for an empty buffer."""
    scores = sorted_scores(state.score)  # the empty slots' -inf last
    place = (1 - jnp.asarray(quantiles, jnp.float32)) * jnp.maximum(state.size - 1, 0)
    high = jnp.minimum(jnp.floor(place).astype(jnp.int32), scores.shape[0] - 1)
    low = jnp.minimum(high + 1, jnp.maximum(state.size - 1, 0))
    between = scores[high] + (place - high) * (scores[low] - scores[high])
    return jnp.where(state.size > 0, between, 0.0)


def _merged(scores: jax.Array, where: jax.Array, group: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mean score (n) of each group's measured rows, and the last of these rows in each group (n) bool."""
    rows = jnp.arange(len(scores), dtype=jnp.int32)
    measured = where & jnp.isfinite(scores)
    last = group_max(jnp.where(measured, rows, -1), group)
    return group_mean(scores, measured, group), measured & (last == rows)


def _write(tree: Any, target: jax.Array, rows: Any) -> Any:
    return jax.tree.map(lambda x, y: x.at[target].set(y, mode="drop"), tree, rows)


def _check(what: str, rows: Any, stored: Any, n: int) -> None:
    """Raise ValueError unless ``rows`` are n rows of what ``stored`` holds."""
    found, expected = jax.tree.structure(rows), jax.tree.structure(stored)
    if found != expected:
        raise ValueError(
            f"this buffer holds {what} of structure {expected}, got {found}: make it with init from an example of these"
        )
    for x, y in zip(jax.tree.leaves(rows), jax.tree.leaves(stored)):
        if jnp.shape(x) != (n, *y.shape[1:]):
            raise ValueError(f"{what} of {n} rows must have leaves of shape {(n, *y.shape[1:])}, got {jnp.shape(x)}")
