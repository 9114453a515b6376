"""The level buffer's benchmark does the work it claims to time, on both sides."""

import jax
import jax.numpy as jnp
import pytest

from kinetix_ued.benchmarks.buffering import (
    OPERATIONS,
    BufferSettings,
    _full,
    _newcomers,
    format_buffer,
    measure_buffer,
)
from kinetix_ued.curricula import LevelBuffer
from kinetix_ued.world import empty_level

SETTINGS = BufferSettings(capacities=(), capacity=24, batch=4, reference_calls=1, repeats=2, min_seconds=0.0)


@pytest.fixture
def few_levels(monkeypatch):
    """Compiling the generator is not what is tested."""
    empty = lambda key, n, size: jax.tree.map(lambda x: jnp.stack([x] * n), empty_level(size))
    monkeypatch.setattr("kinetix_ued.benchmarks.buffering.sample_levels", empty)
    return empty(None, 4, "s")


def test_measures_every_operation_and_jaxued(few_levels):
    said = []
    measured = measure_buffer(SETTINGS, reference=True, say=said.append)
    (buffer,) = measured["buffers"]
    assert buffer["capacity"] == measured["reference"]["capacity"] == 24
    assert tuple(buffer["operations"]) == OPERATIONS
    assert all(len(side["rounds"]) == 2 and side["min"] > 0 for side in buffer["operations"].values())
    assert 800 < buffer["bytes_per_slot"] < 1200 and measured["reference"]["ratio"]["median"] > 0
    text = format_buffer(measured)
    assert "24 slots: JaxUED's LevelSampler takes" in text and "insert unique" in text and len(said) > 8
    assert not hasattr(jax, "tree_map")
    del measured["reference"]
    assert format_buffer(measured) == text.rsplit("\n", 1)[0]


@pytest.mark.parametrize("unique", [False, True])
def test_every_newcomer_enters_every_time(few_levels, unique):
    buffer = LevelBuffer(16, unique=unique)
    different = few_levels.replace(gravity=jnp.arange(8.0).reshape(4, 2) / 10)
    state = _full(buffer, different, jax.random.key(0))
    step = jax.jit(
        lambda state: buffer.insert(state, *_newcomers(different, state.clock), {"max_return": jnp.zeros(4)})
    )
    for _ in range(6):
        state, slots = step(state)
        assert len(set(slots.tolist())) == 4 and min(slots.tolist()) >= 0
    assert int(state.inserted) == 24 and int(state.size) == 16


@pytest.mark.parametrize("bad", [{"batch": 0}, {"capacities": (4, 0)}, {"size": "xl"}, {"reference_calls": 0}])
def test_refuses_settings_out_of_range(bad):
    with pytest.raises(ValueError):
        BufferSettings(**bad)
