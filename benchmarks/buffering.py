"""How fast the level buffer is, how its cost and memory grow with its size, and how that compares with JaxUED's."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_ued.curricula import BufferState, LevelBuffer
from kinetix_ued.generators import sample_levels
from kinetix_ued.randomness import purposes, stream
from kinetix_ued.world import Level, size_of

from .report import machine, versions
from .timing import Program, check_settings, in_turns, summary

SCHEMA = "kinetix-ued/buffering"
SCHEMA_VERSION = 1

OPERATIONS = ("insert", "insert unique", "sample", "update")
"""What is measured: all of it on a full buffer."""

_Step = Callable[[BufferState], tuple[BufferState, jax.Array]]


@dataclasses.dataclass(frozen=True)
class BufferSettings:
    """What to measure.

    Raises:
        ValueError: for an unknown size, or a number below 1.
    """

    size: str = "s"
    """Size of the levels."""
    capacities: tuple[int, ...] = (4096, 16_384, 65_536, 262_144, 1_000_000)
    """Numbers of slots."""
    capacity: int = 65_536
    """Number of slots at which JaxUED's buffer is measured beside it."""
    batch: int = 1024
    """Levels of a call."""
    reference_calls: int = 2
    """Calls of JaxUED's buffer; at 65 536 slots one takes seconds."""
    repeats: int = 5
    """Rounds."""
    min_seconds: float = 0.5
    """Least length of a round."""
    seed: int = 0
    """Of the levels and scores."""

    def __post_init__(self):
        size_of(self.size)
        check_settings(self, "capacity", "batch", "reference_calls", "repeats")
        if min(self.capacities, default=1) < 1:
            raise ValueError(f"capacities must be at least 1; got {self.capacities}")


def measure_buffer(
    settings: BufferSettings = BufferSettings(),
    *,
    reference: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Levels a second that a full level buffer takes in, draws and renews, with its state donated.

    Every level that is offered enters, the costliest case. Priorities are by rank, with staleness.

    Args:
        settings: see ``BufferSettings``.
        reference: measure insertion into JaxUED's ``LevelSampler`` too, at ``settings.capacity`` slots.
        say: is told what goes on.

    Returns:
        A dict ready for JSON; ``buffers`` has, for each capacity, ``bytes_per_slot`` and the rates of ``OPERATIONS``.
    """
    levels = sample_levels(jax.random.key(settings.seed), settings.batch, size_of(settings.size))
    capacities = {*settings.capacities, settings.capacity} if reference else {*settings.capacities}
    buffers = [_measure(settings, capacity, levels, say) for capacity in sorted(capacities)]
    measured = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "versions": versions(),
        "machine": machine(),
        "settings": dataclasses.asdict(settings),
        "buffers": buffers,
    }
    if reference:
        own = next(buffer for buffer in buffers if buffer["capacity"] == settings.capacity)["operations"]["insert"]
        other = _measure_jaxued(settings, levels, say)
        ratios = [mine / other["median"] for mine in own["rounds"]]
        measured["reference"] = {"capacity": settings.capacity, "side": other, "ratio": summary(ratios)}
    return measured


def format_buffer(measured: dict[str, Any]) -> str:
    """The table for the terminal: milliseconds a call."""
    s, m = measured["settings"], measured["machine"]
    milliseconds = lambda side: 1000 * s["batch"] / side["median"]
    heads = "".join(f"{name:>15}" for name in OPERATIONS)
    lines = [
        f"full buffer of levels of size {s['size']}, {s['batch']} levels a call, median of {s['repeats']} rounds; "
        f"{m['device']} ({m['backend']}), {m['cpu_cores']} CPU cores; milliseconds a call:",
        f"{'slots':>10}{'bytes a slot':>14}{'MiB':>10}{heads}",
    ]
    for buffer in measured["buffers"]:
        cells = "".join(f"{milliseconds(buffer['operations'][name]):15.2f}" for name in OPERATIONS)
        mebibytes = buffer["capacity"] * buffer["bytes_per_slot"] / 2**20
        lines.append(f"{buffer['capacity']:10,}{buffer['bytes_per_slot']:14,.0f}{mebibytes:10,.1f}{cells}")
    if other := measured.get("reference"):
        ratio = other["ratio"]
        lines.append(
            f"insert, {other['capacity']:,} slots: JaxUED's LevelSampler takes {milliseconds(other['side']):,.0f} ms, "
            f"{ratio['median']:,.0f} times as long ({ratio['min']:,.0f} to {ratio['max']:,.0f})"
        )
    return "\n".join(lines)


def _measure(settings: BufferSettings, capacity: int, levels: Level, say: Callable[[str], None]) -> dict[str, Any]:
    """Bytes a slot, and the rates of all operations."""
    buffer = LevelBuffer(capacity)
    unique = dataclasses.replace(buffer, unique=True)
    keys = purposes(stream(settings.seed, "BUFF"), "slots", "sample", "content")
    batch = settings.batch
    extras = {"max_return": jnp.zeros(batch, jnp.float32)}
    slots = jax.random.randint(keys.slots, (batch,), 0, capacity)

    steps: dict[str, tuple[LevelBuffer, _Step]] = {
        "insert": (buffer, lambda state: buffer.insert(state, *_newcomers(levels, state.clock), extras)),
        "insert unique": (unique, lambda state: unique.insert(state, *_newcomers(levels, state.clock), extras)),
        "sample": (buffer, lambda state: buffer.sample(jax.random.fold_in(keys.sample, state.clock), state, batch)[:2]),
        "update": (buffer, lambda state: (buffer.update(state, slots, _scores(batch, state.clock), extras), slots)),
    }
    operations = {}
    for name in OPERATIONS:
        settled, step = steps[name]
        program = {"kinetix-ued": _fed_back(step, _full(settled, levels, keys.content))}
        what = f"{name}, {capacity:,} slots"
        timed = in_turns(program, batch, repeats=settings.repeats, min_seconds=settings.min_seconds, say=say, what=what)
        operations[name] = timed["sides"][0]
    stored = jax.eval_shape(lambda: _full(buffer, levels, keys.content))
    total = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(stored))
    return {"capacity": capacity, "bytes_per_slot": round(total / capacity, 1), "operations": operations}


def _full(buffer: LevelBuffer, levels: Level, key: jax.Array) -> BufferState:
    """A full buffer: one level over and over, with scores, times and keys of content that differ."""
    c, keys = buffer.capacity, purposes(key, "score", "time", "content")
    state = buffer.init(jax.tree.map(lambda x: x[0], levels), {"max_return": jnp.float32(0)})
    state = state.replace(
        score=jax.random.uniform(keys.score, (c,), jnp.float32),
        timestamp=jax.random.randint(keys.time, (c,), 0, c),
        size=jnp.full((), c, jnp.int32),
        clock=jnp.full((), c, jnp.int32),
    )
    return state.replace(content=jax.random.bits(keys.content, (c, 2), jnp.uint32)) if buffer.unique else state


def _scores(batch: int, clock: jax.Array) -> jax.Array:
    """Scores (batch) above all that came before."""
    return 1 + clock / batch + jnp.arange(batch) / batch


def _newcomers(levels: Level, clock: jax.Array) -> tuple[Level, jax.Array]:
    """Levels that were not there before, and their scores."""
    new = levels.replace(gravity=levels.gravity - clock.astype(jnp.float32))
    return new, _scores(len(levels.gravity), clock)


def _fed_back(step: Callable[[Any], tuple[Any, jax.Array]], state: Any) -> Program:
    """A program that runs ``step`` on its own last state, which is donated, and returns the other result."""
    compiled = jax.jit(step, donate_argnums=0)

    def call() -> jax.Array:
        nonlocal state
        state, slots = jax.block_until_ready(compiled(state))
        return slots

    return call


def _measure_jaxued(settings: BufferSettings, levels: Level, say: Callable[[str], None]) -> dict[str, Any]:
    """The rate of insertion into JaxUED's buffer, with the same settings, contents and newcomers."""
    from jaxued.level_sampler import LevelSampler

    own = LevelBuffer(settings.capacity)
    other = LevelSampler(
        own.capacity, staleness_coeff=own.staleness_coefficient, prioritization_params={"temperature": own.temperature}
    )
    state = _full(own, levels, stream(settings.seed, "BUFF"))
    sampler = {
        "levels": state.levels,
        "scores": state.score,
        "timestamps": state.timestamp,
        "size": state.size,
        "episode_count": state.clock,
        "levels_extra": state.extras,
    }
    extras = {"max_return": jnp.zeros(settings.batch, jnp.float32)}

    def step(sampler):
        return other.insert_batch(sampler, *_newcomers(levels, sampler["episode_count"]), extras)

    say(f"insert, {settings.capacity:,} slots: JaxUED")
    began = time.perf_counter()
    with _old_jax():
        compiled = jax.jit(step, donate_argnums=0).lower(sampler).compile()
    compiling, rates = time.perf_counter() - began, []
    for _ in range(settings.reference_calls):
        began = time.perf_counter()
        sampler, _ = jax.block_until_ready(compiled(sampler))
        rates.append(settings.batch / (time.perf_counter() - began))
    return {"name": "jaxued", "compile_seconds": round(compiling, 3), **summary(rates)}


@contextlib.contextmanager
def _old_jax() -> Iterator[None]:
    """While it lasts, ``jax.tree_map`` exists: jaxued 0.0.1 uses it, and current JAX has removed it."""
    missing = not hasattr(jax, "tree_map")
    if missing:
        setattr(jax, "tree_map", jax.tree.map)
    try:
        yield
    finally:
        if missing:
            delattr(jax, "tree_map")
