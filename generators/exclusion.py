"""Held out means held out: levels of the suites are known by content hash, whatever file or slots they come in.

So are near copies, by a sketch of their scene (sketch.py): there are files of the published levels whose left wall is
5 cm off, or without gravity. ``held_out.txt`` lists the levels, this project's and the published ones, installed or
not; ``python -m kinetix_ued.benchmarks.held_out_table`` writes it, and a test holds it to the suites.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kinetix_ued.levels import content_hash, hash_text, hash_texts, listed
from kinetix_ued.world import Level, empty_level, varying_like

from .checks import positive_count
from .sampling import Sampler
from .sketch import TOLERANCE, WAVES, sketch, sketch_array

TABLE = "held_out.txt"
"""The file beside this one that lists the levels: content hash, name and sketch of each."""

TRIES = 16
"""Batches drawn at most until none of their levels is held out. What is left is taken by a generator that knows little
else than held-out levels."""


@functools.cache
def held_out_levels() -> dict[str, str]:
    """The levels that no run should train on: ``SUITE/SIZE/NAME`` by content hash, 16 hexadecimal digits."""
    return {digits: name for digits, name, *_ in _rows()}


@functools.cache
def held_out_sketches() -> tuple[np.ndarray, np.ndarray]:
    """Of each level in the table: its content hash (H, 2) uint32, and the sketch of its scene (H, WAVES) float32."""
    rows = _rows()
    return hash_array([row[0] for row in rows]), np.array([row[2:] for row in rows], np.float32).reshape(-1, WAVES)


def table_row(name: str, level: Level) -> str:
    """The line of the table about a level."""
    return " ".join([hash_text(level), name, *(f"{number:.3f}" for number in sketch_array(level))])


def _rows() -> list[list[str]]:
    text = importlib.resources.files(__package__).joinpath(TABLE).read_text(encoding="utf-8")
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


def hash_array(texts: Iterable[str] | None = None) -> np.ndarray:
    """Hashes as ``content_hash`` makes them (H, 2) uint32, from text; those of ``held_out_levels`` if left out."""
    texts = list(held_out_levels() if texts is None else texts)
    return np.array([(int(text[:8], 16), int(text[8:], 16)) for text in texts], np.uint32).reshape(-1, 2)


def refuse_held_out(levels: Level, names: Sequence[str], source: str = "training") -> None:
    """Refuse levels to train on that are held out, or near copies of such, in whatever size.

    Args:
        levels: n levels.
        names: what each is called (n).
        source: what wants to use them, for the error.

    Raises:
        ValueError: names each level that is one of a suite, or nearly, and the way to train on it all the same.
    """
    known, found = held_out_levels(), []
    hashes, sketches = held_out_sketches()
    listed_here = {i: known[text] for i, text in enumerate(_texts(hashes)) if text in known}
    for name, text, scene in zip(names, hash_texts(levels), sketch_array(levels), strict=True):
        apart = np.abs(sketches - scene).max(axis=-1)
        near = [i for i in np.argsort(apart).tolist() if apart[i] <= TOLERANCE and i in listed_here]
        if text in known:
            found.append(f"{name} is {known[text]}")
        elif near:
            found.append(f"{name} is nearly {listed_here[near[0]]}")
    if found:
        raise ValueError(
            f"{source}: {len(found)} of {len(names)} levels are held out for evaluation: {listed(found)}. Take them "
            "out, or train on them knowingly with allow_holdout=True (--allow-holdout), which reports then say"
        )


def held_out(levels: Level, hashes: Any) -> jax.Array:
    """Which of n levels have one of these content hashes, or are near copies of a level that has (n) bool. Traceable.

    Slots and size do not matter: neither hash nor sketch depends on them. Near copies are known of the levels in the
    table alone: what else has one of the hashes is known by it.

    Args:
        levels: with a leading axis n.
        hashes: H of them, as ``content_hash`` makes them (H, 2) uint32.
    """
    hashes = _checked(hashes)
    has_one = lambda found: (found[:, None] == hashes[None]).all(axis=-1).any(axis=-1)
    known, sketches = held_out_sketches()
    near = (jnp.abs(sketch(levels)[:, None] - sketches[None]) <= TOLERANCE).all(axis=-1)
    return has_one(content_hash(levels)) | (near & has_one(jnp.asarray(known))).any(axis=-1)


def emptied(levels: Level, hashes: Any) -> tuple[Level, jax.Array]:
    """The levels with an empty room in the place of each that is ``held_out``, and how many there are () int32.

    Traceable. For what comes from elsewhere than a sampler: edited levels, or a curriculum of the user's.

    Args:
        levels: with a leading axis n.
        hashes: as for ``held_out`` (H, 2) uint32.
    """
    bad = held_out(levels, hashes)
    return _where(bad, empty_level(levels.size), levels), bad.sum(dtype=jnp.int32)


def sample_excluding(key: jax.Array, n: int, sample: Sampler, hashes: Any) -> tuple[Level, jax.Array]:
    """n levels from ``sample``, none of them ``held_out``, and how many draws were () int32. Traceable.

    Levels that are held out are drawn again, with another key. Those that are after TRIES draws become empty rooms. So
    none ever comes through, unlike with ``filtered``, and where nothing is held out the levels are those of ``sample``
    with the key folded with 0: that of each try is folded with its number.

    Args:
        key: of the random numbers.
        n: levels wanted, static.
        sample: ``sample(key, n)``, for instance that of ``sampler``.
        hashes: of the levels to leave out (H, 2) uint32.

    Raises:
        ValueError: for n below 1, or hashes of another shape or type.
    """
    positive_count(n, "n", "levels to sample")
    hashes = _checked(hashes)
    shapes = jax.eval_shape(lambda key: sample(key, n), key)

    def more(drawing):
        tries, _, wanted, _ = drawing
        return (tries < TRIES) & wanted.any()

    def draw(drawing):
        tries, levels, wanted, dropped = drawing
        new = sample(jax.random.fold_in(key, tries), n)
        bad = held_out(new, hashes) & wanted
        return tries + 1, _where(wanted, new, levels), bad, dropped + bad.sum(dtype=jnp.int32)

    # All draws are those of the loop, so that the generator is compiled once.
    blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    start = jnp.int32(0), *varying_like((blank, jnp.ones(n, bool), jnp.int32(0)), key)
    _, levels, bad, dropped = jax.lax.while_loop(more, draw, start)
    return _where(bad, empty_level(levels.size), levels), dropped


def excluding(sample: Sampler, hashes: Any) -> Sampler:
    """A sampler like ``sample`` that never returns a level that is ``held_out``; see ``sample_excluding``."""
    hashes = _checked(hashes)

    def sample_others(key: jax.Array, n: int) -> Level:
        return sample_excluding(key, n, sample, hashes)[0]

    return sample_others


def _texts(hashes: np.ndarray) -> list[str]:
    return [f"{high:08x}{low:08x}" for high, low in hashes.tolist()]


def _checked(hashes: Any) -> jax.Array:
    hashes = jnp.asarray(hashes)
    if hashes.ndim != 2 or hashes.shape[1] != 2 or hashes.dtype != jnp.uint32:
        found = f"shape {hashes.shape} and type {hashes.dtype}"
        raise ValueError(
            f"hashes are pairs of 32 bits, shape (H, 2) and type uint32, as content_hash makes them; got {found}"
        )
    return hashes


def _where(mask: jax.Array, yes: Level, no: Level) -> Level:
    """Level by level, ``yes`` where ``mask`` (n) holds and ``no`` elsewhere."""
    pick = lambda y, x: jnp.where(mask.reshape((-1,) + (1,) * (x.ndim - 1)), y, x)
    return jax.tree.map(pick, yes, no)
