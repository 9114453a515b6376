"""Each curriculum on a bandit of levels: it must move its proposals where its paper says, phase by phase.

A level is a number x. The student solves those below 1/3 always, those up to 2/3 half of the time, and none above. An
episode is one step, its reward 1 at the goal, and the critic knows the chances.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.curricula import (
    CURRICULA,
    Curriculum,
    LevelBuffer,
    Plan,
    Rollout,
    Score,
    accel,
    domain_randomisation,
    make_curriculum,
    mixture,
    ncc,
    student_regret,
    robust_plr,
    sfl,
)
from kinetix_ued.generators import sampler

BATCH = 16


def sample(key, n):
    return jax.random.uniform(key, (n,))


def student(x):
    return jnp.where(x < 1 / 3, 1.0, jnp.where(x < 2 / 3, 0.5, 0.0))


def play(key, levels, chance=student, episodes=8):
    """A rollout of so many one-step episodes in every environment."""
    p = jnp.broadcast_to(chance(levels), (episodes, *levels.shape))
    goal = jax.random.uniform(key, p.shape) < p
    return Rollout(goal.astype(jnp.float32), jnp.ones_like(goal), goal, p, p[0], goal - p)


def learnable(x):
    return (np.asarray(x) > 1 / 3) & (np.asarray(x) < 2 / 3)


def run(curriculum, updates, rollout=play, seed=0):
    """The last state, and levels, plan and metrics of every update, stacked."""

    def update(state, key):
        key_propose, key_play = jax.random.split(key)
        levels, plan = curriculum.propose(key_propose, state)
        state, metrics = curriculum.update(state, levels, rollout(key_play, levels), plan)
        return state, (levels, plan, metrics)

    @jax.jit
    def whole(key):
        return jax.lax.scan(update, curriculum.init(key), jax.random.split(key, updates))

    return jax.tree.map(np.asarray, whole(jax.random.key(seed)))


def finite(metrics):
    return all(np.isfinite(values).all() for values in metrics.values())


def test_domain_randomisation_stays_where_it_is():
    _, (levels, plan, _) = run(domain_randomisation(sample, BATCH), 60)
    assert abs(learnable(levels[30:]).mean() - 1 / 3) < 0.06 and plan.learn.all()


def test_robust_plr_learns_from_learnable_levels():
    buffer = LevelBuffer(64, staleness_coefficient=0.1)
    _, (levels, plan, metrics) = run(robust_plr(sample, BATCH, buffer=buffer, score="learnability"), 120)
    assert learnable(levels[60:][plan.learn[60:]]).mean() > 0.85
    assert abs(learnable(levels[~plan.learn]).mean() - 1 / 3) < 0.06
    assert finite(metrics)


# ACCEL: the sampler makes next to no learnable level, none of them above 0.34; only edits find the others.
def easy(key, n):
    return 0.34 * jax.random.uniform(key, (n,))


def nudge(key, levels):
    return jnp.clip(levels + 0.1 * jax.random.normal(key, levels.shape), 0, 1)


@functools.cache
def run_accel():
    buffer = LevelBuffer(64, staleness_coefficient=0.1)
    return run(accel(easy, BATCH, buffer=buffer, edit=nudge), 200)


def test_accel_edits_always_and_only_after_a_replay():
    _, (_, plan, metrics) = run_accel()
    replayed, edited = metrics["replayed"] > 0, metrics["edited"] > 0
    assert replayed.sum() > 40 and (edited[1:] == replayed[:-1]).all() and not edited[0]
    assert (plan.learn == replayed).all() and plan.restart.all()
    assert ((plan.slots >= 0) == replayed[:, None]).all()
    new = ~replayed & ~edited
    assert new.sum() > 20 and (plan.sampled == np.where(new, BATCH, 0)).all()
    assert finite(metrics)


def test_accel_finds_children_of_learnable_levels_that_no_sampler_makes():
    state, (levels, plan, metrics) = run_accel()
    late = levels[120:][plan.learn[120:]]
    assert learnable(late).mean() > 0.85 and (late > 0.34).mean() > 0.8
    filled = state.buffer.levels[: state.buffer.size]
    assert (filled > 0.34).mean() > 0.8 and metrics["buffer_edited"][-1] > 0.8
    assert metrics["generation_max"][-1] >= 2
    # Children start from levels worth learning from, so most of them are.
    assert learnable(levels[120:][metrics["edited"][120:] > 0]).mean() > 0.6


def test_accel_knows_the_descent_of_a_level():
    state, (levels, _, metrics) = run_accel()
    new = metrics["replayed"] == 0
    born = levels[new].reshape(-1)  # in the order of their numbers
    assert int(state.proposed) == born.size
    lineage, size = state.buffer.extras, int(state.buffer.size)
    np.testing.assert_array_equal(born[lineage.number[:size]], state.buffer.levels[:size])
    children = np.flatnonzero(lineage.parent[:size] >= 0)
    assert len(children) > 30 and (lineage.generation[:size] > 0)[children].all()
    assert (lineage.generation[:size][lineage.parent[:size] < 0] == 0).all()
    parents = born[lineage.parent[children]]
    assert (lineage.parent[children] < lineage.number[children]).all()
    assert np.abs(state.buffer.levels[children] - parents).max() < 0.5  # five standard deviations of the edit
    assert np.abs(state.buffer.levels[children] - parents).mean() < 0.12


def test_accel_edits_real_levels():
    """The default edit fits what the generators make: ``init`` checks it, here without compiling anything."""
    curriculum = accel(sampler("sparse", "s"), 4, buffer=LevelBuffer(8), n_edits=2)
    state = jax.eval_shape(curriculum.init, jax.random.key(0))
    assert state.buffer.levels.gravity.shape == (8, 2) and state.parents.shape == (4,)


SFL = {"scored_levels": 6 * BATCH - 3, "scoring_rollouts": 2, "kept_levels": 24, "refresh_every": 10}
PASS = 12  # updates of a scoring pass: six batches, twice each
CYCLE = PASS + 10


@functools.cache
def run_sfl(**options):
    return run(sfl(sample, BATCH, **SFL, **options), 3 * CYCLE + 5)


def test_sfl_scores_in_passes_and_learns_between_them():
    _, (levels, plan, metrics) = run_sfl()
    step = np.arange(len(levels)) % CYCLE
    scoring = step < PASS
    assert (metrics["scoring"] == scoring).all() and (plan.learn == ~scoring).all() and plan.restart.all()
    assert (metrics["cycle"] == step).all()
    again = scoring & (step % 2 == 1)
    assert (levels[again] == levels[np.flatnonzero(again) - 1]).all()
    assert len(np.unique(levels[scoring & ~again])) == levels[scoring & ~again].size
    assert (plan.sampled == np.where(scoring, np.where(again, 0, BATCH), BATCH // 2)).all()
    assert ((plan.slots >= 0).sum(axis=1) == np.where(scoring, 0, BATCH // 2)).all()
    assert finite(metrics)


def test_sfl_keeps_and_plays_learnable_levels():
    state, (levels, plan, metrics) = run_sfl()
    replayed = plan.slots >= 0
    assert replayed.sum() == 3 * 10 * BATCH // 2 and learnable(levels[replayed]).mean() > 0.95
    new = ~replayed & plan.learn[:, None]
    assert abs(learnable(levels[new]).mean() - 1 / 3) < 0.1
    assert (metrics["buffer_size"][PASS:CYCLE] == 24).all() and abs(metrics["buffer_solve_rate"][PASS] - 0.5) < 0.1
    # Levels of one pass only: those of the next replace them.
    first, second = levels[:PASS], levels[CYCLE : CYCLE + PASS]
    assert np.isin(levels[PASS:CYCLE][replayed[PASS:CYCLE]], first).all()
    assert np.isin(levels[CYCLE + PASS : 2 * CYCLE][replayed[CYCLE + PASS : 2 * CYCLE]], second).all()
    # The fourth pass has begun, with two whole batches and half of a third.
    assert np.isin(state.kept.levels[: state.kept.size], levels[3 * CYCLE : 3 * CYCLE + 4]).all()


def test_sfl_scores_the_best_of_all_that_it_counted():
    """The kept levels' scores, computed anew from every rollout of a pass."""
    counts = {}

    def counted(key, levels):
        return play(key, levels, lambda x: x)  # every level is learnable, more or less

    curriculum = sfl(sample, BATCH, **SFL, solved_bonus=0.0)
    state = curriculum.init(jax.random.key(0))
    propose, update, simulate = jax.jit(curriculum.propose), jax.jit(curriculum.update), jax.jit(counted)
    for key in jax.random.split(jax.random.key(1), PASS):
        levels, plan = propose(key, state)
        rollout = simulate(key, levels)
        state, _ = update(state, levels, rollout, plan)
        for x, won in zip(np.asarray(levels), np.asarray(rollout.goal).sum(axis=0)):
            counts[x] = counts.get(x, 0) + won
    rate = np.array(list(counts.values())) / 16
    best = np.sort(rate * (1 - rate) * 16 / 15)[::-1][:24]
    assert len(counts) == 6 * BATCH
    np.testing.assert_allclose(np.sort(state.kept.score)[::-1], best, rtol=1e-5)


def test_sfl_draws_by_score_and_may_play_kept_levels_only():
    _, (levels, plan, _) = run_sfl(by_score=True, replayed_share=1.0)
    assert (plan.slots[plan.learn] >= 0).all() and (plan.sampled[plan.learn] == 0).all()
    assert learnable(levels[plan.learn]).mean() > 0.95


def test_sfl_plays_new_levels_where_nothing_was_measured():
    once = functools.partial(play, episodes=1)
    options = SFL | {"scoring_rollouts": 1, "refresh_every": 4, "replayed_share": 0.3}
    _, (levels, plan, metrics) = run(sfl(sample, BATCH, **options), 10, once)
    assert plan.learn.tolist() == [False] * 6 + [True] * 4
    assert (metrics["buffer_size"] == 0).all() and (plan.slots == -1).all()
    assert len(np.unique(levels)) == levels.size
    assert (plan.sampled == 22).all()  # five of sixteen would be replayed, so eleven are drawn at a time
    assert finite(metrics)


STILL = Score(lambda rollout, extras: (rollout.value[0], extras))
"""The score is the level itself, where the chance of solving it is."""


def test_ncc_goes_to_the_softmax_of_scores_that_stand_still():
    rollout = functools.partial(play, chance=lambda x: x)
    buffer = LevelBuffer(BATCH, minimum_fill=0.5, replay_probability=1.0, staleness_coefficient=0.0)
    curriculum = ncc(sample, BATCH, buffer=buffer, score=STILL, step_size=0.2, entropy=0.5)
    state, (_, plan, _) = run(curriculum, 151, rollout)
    assert plan.learn[1:].all() and not plan.learn[0]
    softmax = np.exp(state.buffer.score / 0.5)
    np.testing.assert_allclose(state.distribution, softmax / softmax.sum(), rtol=1e-3)


def test_ncc_admits_newcomers_and_ascends_as_computed_by_hand():
    buffer = LevelBuffer(4, staleness_coefficient=0.0)
    curriculum = ncc(sample, 2, buffer=buffer, score=STILL, step_size=0.2, entropy=0.5)
    update = jax.jit(curriculum.update)
    state = curriculum.init(jax.random.key(0))
    held = jnp.array([0.6, 0.4, 0.2, 0.0])
    score = jnp.array([0.6, 0.4, 0.2, -jnp.inf])
    state = state._replace(
        buffer=state.buffer.replace(levels=held, score=score, size=jnp.int32(3)),
        distribution=jnp.array([0.5, 0.3, 0.2, 0.0]),
    )
    # 0.9 takes the free slot, 0.5 that of 0.2, the lowest: a fourth for each, and the others share the rest as before.
    levels, plan = jnp.array([0.5, 0.9]), Plan(jnp.array(False), jnp.array(True), jnp.array([-1, -1]))
    admitted, _ = update(state, levels, play(jax.random.key(0), levels, lambda x: x), plan)
    np.testing.assert_allclose(admitted.buffer.levels, [0.6, 0.4, 0.5, 0.9])
    np.testing.assert_allclose(admitted.distribution, [0.5 * 5 / 8, 0.5 * 3 / 8, 0.25, 0.25], rtol=1e-5)
    # The levels in slots 3 and 0 are replayed, and now score otherwise.
    levels, plan = jnp.array([0.8, 0.1]), plan._replace(slots=jnp.array([3, 0]))
    ascended, _ = update(admitted, levels, play(jax.random.key(0), levels, lambda x: x), plan)
    step = np.asarray(admitted.distribution) ** 0.9 * np.exp(0.2 * np.array([0.1, 0.4, 0.5, 0.8]))
    np.testing.assert_allclose(ascended.distribution, step / step.sum(), rtol=1e-5)


def test_paired_plays_what_only_the_antagonist_solves():
    def both(key, levels):
        keys = jax.random.split(key)
        strong = play(keys[1], levels, lambda x: jnp.where(x < 2 / 3, 0.9, 0.0))
        return play(keys[0], levels, lambda x: jnp.where(x < 1 / 3, 0.9, 0.0))._replace(antagonist=strong)

    curriculum = student_regret(sample, BATCH, buffer=LevelBuffer(64, staleness_coefficient=0.1))
    assert curriculum.students == 2
    state, (levels, plan, metrics) = run(curriculum, 120, both)
    replayed = metrics["replayed"] > 0
    assert plan.learn.all() and 40 < replayed.sum() < 80
    assert learnable(levels[60:][replayed[60:]]).mean() > 0.85  # the middle third
    assert learnable(state.buffer.levels).mean() > 0.85 and finite(metrics)


def test_mixture_draws_one_curriculum_for_every_update():
    parts = {
        "dr": domain_randomisation(sample, BATCH),
        "sfl": sfl(lambda key, n: 1 + sample(key, n), BATCH, **(SFL | {"scoring_rollouts": 1})),
        "accel": accel(lambda key, n: 2 + sample(key, n), BATCH, buffer=LevelBuffer(32), edit=lambda key, x: x),
    }
    chances = {"dr": 1.0, "sfl": 2.0, "accel": 1.0}
    together = lambda key, levels: play(key, levels % 1)
    curriculum = mixture(parts, chances)
    assert curriculum.students == 1
    _, (levels, plan, metrics) = run(curriculum, 200, together)
    chosen = metrics["chosen"]
    assert (np.floor(levels) == chosen[:, None]).all()  # a whole batch is of one curriculum
    np.testing.assert_allclose(np.bincount(chosen) / 200, [0.25, 0.5, 0.25], atol=0.1)
    assert plan.learn[chosen == 0].all() and (plan.sampled[chosen == 0] == BATCH).all()
    assert (plan.restart == (chosen != 0)).all()
    for index, name in [(1, "sfl"), (2, "accel")]:
        own = [values for metric, values in metrics.items() if metric.startswith(f"{name}_")]
        assert own and all((np.isfinite(values) == (chosen == index)).all() for values in own)
    # Each goes through its phases as if it were alone.
    cycle = np.arange((chosen == 1).sum()) % 16
    assert (metrics["sfl_cycle"][chosen == 1] == cycle).all() and (plan.learn[chosen == 1] == (cycle >= 6)).all()
    own = {name: metrics[f"accel_{name}"][chosen == 2] for name in ("replayed", "edited")}
    assert (own["edited"][1:] == own["replayed"][:-1]).all() and own["edited"].sum() > 2


def test_mixture_has_as_many_students_as_any_of_its_parts_and_carries_their_extras():
    def noting(value):  # a curriculum that needs something of its own from propose to update
        def propose(key, state):
            return sample(key, BATCH), Plan(jnp.array(True), jnp.array(True), jnp.full(BATCH, -1), jnp.full(2, value))

        return Curriculum(lambda key: jnp.zeros(2), propose, lambda state, levels, rollout, plan: (plan.extra, {}))

    parts = {"a": noting(3.0), "b": noting(5.0)._replace(students=2)}
    curriculum = mixture(parts)
    assert curriculum.students == 2
    state, (_, plan, metrics) = run(curriculum, 20)
    assert {name: values.tolist() for name, values in state.states.items()} == {"a": [3, 3], "b": [5, 5]}
    assert set(metrics) == {"chosen"} and (plan.sampled == BATCH).all()


@pytest.mark.parametrize("name", CURRICULA)
def test_compiles_once(name):
    """The state keeps its shapes and types through an update, and so do the plans: nothing is traced again."""
    options = {"accel": {"edit": nudge}, "sfl": SFL}.get(name, {})
    curriculum = make_curriculum(name, sample, BATCH, **options)
    two = lambda key, levels: play(key, levels)._replace(antagonist=play(key, levels))

    def update(key, state):
        levels, plan = curriculum.propose(key, state)
        return curriculum.update(state, levels, two(key, levels), plan)

    types = lambda tree: [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(tree)]
    key = jax.random.key(0)
    state = jax.eval_shape(curriculum.init, key)
    after, metrics = jax.eval_shape(update, key, state)
    assert jax.tree.structure(after) == jax.tree.structure(state) and types(after) == types(state)
    assert all(value.shape == () for value in metrics.values())


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: accel(sample, 8, buffer=LevelBuffer(4)), "raise capacity to at least 8"),
        (lambda: accel(sample, 8, n_edits=0), "n_edits is a count"),
        (lambda: accel(sample, 8, edit="none"), "edit must be a function"),
        (lambda: accel(sample, 8, edit=lambda key, x: x[:4]).init(jax.random.key(0)), "same structure, shapes"),
        (lambda: sfl(sample, 0), "batch counts environments"),
        (lambda: sfl(sample, 8, kept_levels=10, scored_levels=9), "raise scored_levels to 10"),
        (lambda: sfl(sample, 8, refresh_every=0), "refresh_every is a count"),
        (lambda: sfl(sample, 8, replayed_share=0.0), "replayed_share must be above 0"),
        (lambda: sfl(sample, 8, replayed_share=1.5), "replayed_share must be above 0"),
        (lambda: sfl(sample, 8, solved_bonus=1.0), "small beside 0.25"),
        (lambda: sfl(sample, 8, by_score="yes"), "by_score must be True or False"),
        (lambda: ncc(sample, 8, step_size=1.0, entropy=2.0), "lower step_size"),
        (lambda: ncc(sample, 8, entropy="high"), "entropy must be a finite number"),
        (lambda: ncc(sample, 8, buffer=LevelBuffer(4)), "raise capacity to at least 8"),
        (lambda: student_regret(sample, 8, regret="envy"), "unknown score 'envy'"),
        (lambda: mixture({}), "at least one"),
        (lambda: mixture({"a": domain_randomisation(sample, 8)}, {"b": 1.0}), "must name the curricula a; got b"),
        (lambda: mixture({"a": domain_randomisation(sample, 8)}, {"a": 0.0}), "weight of 'a'"),
    ],
)
def test_refuses_static_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_paired_refuses_a_rollout_without_an_antagonist():
    curriculum = student_regret(sample, BATCH, buffer=LevelBuffer(32))
    state = curriculum.init(jax.random.key(0))
    levels, plan = curriculum.propose(jax.random.key(1), state)
    with pytest.raises(ValueError, match="students=2"):
        curriculum.update(state, levels, play(jax.random.key(2), levels), plan)
