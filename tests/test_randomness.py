"""Random keys: no two uses of any of them meet, in a whole update, a batch of levels or a search."""

import dataclasses
import functools
from collections import defaultdict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import define_prng_impl, threefry_prng_impl

from kinetix_ued.agents import Agent
from kinetix_ued.generators import GENERATORS, excluding, filtered, mutate_levels, sample_levels, sampler
from kinetix_ued.randomness import purposes, stream
from kinetix_ued.training import preset
from kinetix_ued.training.build import (
    build_curriculum,
    build_env,
    build_learner,
    build_network,
    build_sampler,
    decision_env,
)
from kinetix_ued.training.teacher import TeachingAgent
from kinetix_ued.training.update import first_keys, make_update

SPLIT, DRAW, FOLD = "split", "draw", "fold"


class Recorder:
    """Threefry that notes every use of every key while a compiled program runs, as (key, use, number folded)."""

    def __init__(self):
        threefry = threefry_prng_impl
        self.uses = []

        def note(use):
            def take(key, number):
                keys = np.asarray(key).reshape(-1, 2)
                numbers = np.broadcast_to(np.asarray(number).ravel(), len(keys))
                self.uses += [(tuple(k), use, int(n)) for k, n in zip(keys.tolist(), numbers)]

            return take

        def split(key, shape):
            jax.debug.callback(note(SPLIT), key, 0)
            return threefry.split(key, shape)

        def fold_in(key, number):
            jax.debug.callback(note(FOLD), key, number)
            return threefry.fold_in(key, number)

        def random_bits(key, bit_width, shape):
            jax.debug.callback(note(DRAW), key, 0)
            return threefry.random_bits(key, bit_width, shape)

        self.implementation = define_prng_impl(
            key_shape=(2,),
            seed=threefry.seed,
            split=split,
            random_bits=random_bits,
            fold_in=fold_in,
            name="recording",
            tag="rec",
        )

    def key(self, seed):
        return jax.random.key(seed, impl=self.implementation)

    def taken(self):
        """What was noted since the last time, once all programs are done."""
        jax.effects_barrier()
        found, self.uses[:] = list(self.uses), []
        return found


@pytest.fixture(scope="module")
def recorder():
    return Recorder()


def assert_no_two_uses_meet(uses):
    """Every key is split once, or drawn from once, or folded with numbers that are all different."""
    by_key = defaultdict(list)
    for key, use, number in uses:
        by_key[key].append((use, number))
    assert len(by_key) > 1
    for key, own in by_key.items():
        kinds = {use for use, _ in own}
        assert kinds == {FOLD} and len(set(own)) == len(own) or len(own) == 1, (key, own)


FAULTS = {
    "a fold meets a split": lambda key: (
        jax.random.uniform(jax.random.split(key)[1]),
        jax.random.normal(jax.random.fold_in(key, 1)),
    ),
    "drawn from and folded": lambda key: (jax.random.uniform(key), jax.random.fold_in(key, 7)),
    "drawn from twice": lambda key: (jax.random.uniform(key), jax.random.normal(key)),
    "split twice": lambda key: (jax.random.split(key), jax.random.split(key, 3)),
    "folded with one number twice": lambda key: (jax.random.fold_in(key, 7), jax.random.fold_in(key, jnp.uint32(7))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_recorder_sees_every_fault(recorder, fault):
    jax.block_until_ready(FAULTS[fault](jax.random.split(recorder.key(0))[0]))
    with pytest.raises(AssertionError):
        assert_no_two_uses_meet(recorder.taken())


def test_the_recorder_sees_every_key_of_a_batch(recorder):
    jax.jit(jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, 3))))(jax.random.split(recorder.key(0), 5))
    uses = recorder.taken()
    assert sorted(use for _, use, _ in uses) == [DRAW] * 5 + [FOLD] * 5 + [SPLIT]
    assert_no_two_uses_meet(uses)


CURRICULA = ("dr", "accel", "sfl", "ncc", "paired")


@pytest.mark.parametrize("name", CURRICULA)
def test_a_run_uses_every_key_once(recorder, name):
    """The first keys, and the keys of several updates, each with its proposals, rollouts and learning."""
    small = {
        "observation": "symbolic_flat",
        "network": "flat_mlp",
        "max_steps": 4,
        "rollout_steps": 2,
        "outer_steps": 2,
    }
    method = "tiny" if name == "dr" else f"tiny-{name}"
    own = {} if name != "sfl" else {"options": "scored_levels=8,scoring_rollouts=1,kept_levels=4,refresh_every=2"}
    own |= (
        {"minimum_fill": 0.5, "replay_probability": 0.5, "buffer_size": 8} if name in ("accel", "ncc", "paired") else {}
    )
    own |= {"score": "l1_value_loss"} if name in ("accel", "ncc") else {}
    config = preset(
        method, engine="jax", generator="sparse", environments=4, minibatches=2, steps=2**20, **small, **own
    )
    env = build_env(config)
    network = build_network(config, env)
    curriculum = build_curriculum(config, build_sampler(config)[0])
    init, update = make_update(config, env, network, build_learner(config, env, network), curriculum)
    update = jax.jit(update)
    state = jax.jit(init)(recorder.key(0))
    kinds = set()
    for _ in range(8):
        state, metrics = update(state)
        kinds.add(float(metrics.get("curriculum/replayed", metrics.get("curriculum/scoring", 0))))
    if name != "dr":
        assert kinds == {0.0, 1.0}, "the updates must be of both kinds"
    assert_no_two_uses_meet(recorder.taken())


def test_a_teacher_uses_every_key_once(recorder):
    """One that decides twice in each decision of the student's, and samples every time, until it is no longer asked."""
    config = preset(
        "tiny", engine="jax", generator="sparse", environments=4, minibatches=2, steps=4 * 2 * 2 * 2 * 4, max_steps=4,
        rollout_steps=2, outer_steps=2, observation="symbolic_flat", network="flat_mlp", decision_frames=4,
        teacher="an agent", imitation_steps=4 * 2 * 2 * 2 * 2,
    )  # fmt: skip
    env = build_env(config)
    network = build_network(config, env)
    own = build_network(dataclasses.replace(config, decision_frames=2), env)
    params = own.init(jax.random.key(1), env.observation_space())
    guide = TeachingAgent(Agent(own, params, env, {"hash": ""}), "the teacher").guide(config)
    curriculum = build_curriculum(config, build_sampler(config)[0])
    learner = build_learner(config, env, network)
    init, update = make_update(config, decision_env(config), network, learner, curriculum, guide=guide)
    update = jax.jit(update)
    state = jax.jit(init)(recorder.key(0))
    losses = []
    for _ in range(4):
        state, metrics = update(state)
        losses.append(float(metrics["loss/imitation"]))
    assert np.isfinite(losses).tolist() == [True, True, False, False]
    assert_no_two_uses_meet(recorder.taken())


def test_student_and_antagonist_share_no_key(recorder):
    keys = first_keys(jax.random.key(3))
    found = {name: tuple(jax.random.key_data(getattr(keys, name)).tolist()) for name in keys._fields}
    assert len(set(found.values())) == len(found) == 4
    own = purposes(jax.random.fold_in(keys.updates, 5), "propose", "play", "antagonist")
    data = lambda key: {tuple(row) for row in jax.random.key_data(key).reshape(-1, 2).tolist()}
    student, antagonist = (data(jax.random.split(key, 64)) for key in (own.play, own.antagonist))
    assert len(student | antagonist) == 128
    # The fault: a fold of the key that the student splits is one of the keys that it gets.
    assert data(jax.random.fold_in(own.play, 1)) < student


@pytest.mark.parametrize("name", [name for name in GENERATORS if name not in ("mixture", "mixed_sizes")])
def test_generators_use_every_key_once(recorder, name):
    size = "m" if name in ("locomotion", "vehicles", "pushing", "platforms") else "s"
    jax.block_until_ready(sample_levels(recorder.key(1), 2, size, generator=name))
    assert_no_two_uses_meet(recorder.taken())


@pytest.mark.parametrize("name", ["mixture", "mixed_sizes"])
def test_mixtures_use_every_key_once(recorder, name):
    """One level at a time; every part computes it, each from a key of its own, and one of them is taken."""
    from kinetix_ued.generators import make_generator

    make = jax.jit(lambda key: make_generator(name)(key, "m"))
    for seed in range(3):
        jax.block_until_ready(make(recorder.key(seed)))
        assert_no_two_uses_meet(recorder.taken())


def test_samplers_and_edits_use_every_key_once(recorder):
    sample = sampler("sparse", "s")
    levels = sample(recorder.key(2), 4)
    hashes = jnp.zeros((1, 2), jnp.uint32)
    recorder.taken()
    jax.block_until_ready(excluding(filtered(sample), hashes)(recorder.key(3), 4))
    assert_no_two_uses_meet(recorder.taken())
    jax.block_until_ready(mutate_levels(recorder.key(4), levels, 3))
    assert_no_two_uses_meet(recorder.taken())


def test_levels_drawn_again_share_no_key_with_the_first_draw(recorder):
    """A held-out level is drawn again: the later tries are none of the draws of the first."""
    from kinetix_ued.levels.content import content_hash

    sample = sampler("sparse", "s")
    first = functools.partial(sample, jax.random.fold_in(jax.random.key(5), 0))
    hashes = jnp.asarray(jax.vmap(content_hash)(first(4)))[:2]
    again = excluding(sample, hashes)(recorder.key(5), 4)
    uses = recorder.taken()
    assert sum(use == FOLD for _, use, _ in uses) >= 2, "nothing was drawn again"
    assert_no_two_uses_meet(uses)
    assert not np.array_equal(again.position, first(4).position)


def test_streams_of_a_seed_are_apart_from_its_splits():
    with pytest.raises(ValueError, match="four capital letters; got 'held'"):
        stream(0, "held")
    names = ("HELD", "EVAL", "PICK", "SOLV", "POLI")
    data = [tuple(jax.random.key_data(stream(7, name)).tolist()) for name in names]
    data += [tuple(row) for row in jax.random.key_data(jax.random.split(jax.random.key(7), 1000)).tolist()]
    assert len(set(data)) == len(data)
    assert (
        jax.random.key_data(stream(7, "HELD")) == jax.random.key_data(jax.random.fold_in(jax.random.key(7), 0x48454C44))
    ).all()
