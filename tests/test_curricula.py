"""Curricula on toy levels, single numbers: what they propose, what they learn of it, and how they are named."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.curricula import (
    CURRICULA,
    LevelBuffer,
    Rollout,
    Score,
    accel,
    curriculum_options,
    domain_randomisation,
    make_curriculum,
    ncc,
    plr,
    robust_plr,
    student_regret,
)

BATCH = 8


def sample(key, n):
    return {"difficulty": jax.random.uniform(key, (n,))}


def play(levels, done=True):
    """A rollout of two steps whose positive value loss is the level's difficulty, and whose return is its square."""
    x = levels["difficulty"]
    end = jnp.broadcast_to(jnp.asarray(done), x.shape)
    pair = lambda last: jnp.stack([jnp.zeros_like(x), last])
    return Rollout(
        reward=pair(x**2),
        done=jnp.stack([jnp.zeros_like(end), end]),
        goal=jnp.stack([jnp.zeros_like(end), end]),
        value=jnp.zeros((2, *x.shape)),
        last_value=jnp.zeros_like(x),
        advantage=pair(2 * x),
    )


def run(curriculum, updates, seed=0):
    """Levels, plans and metrics of a whole run, stacked, and the last state."""

    def update(state, key):
        levels, plan = curriculum.propose(key, state)
        state, metrics = curriculum.update(state, levels, play(levels), plan)
        return state, (levels, plan, metrics)

    @jax.jit
    def whole(key):
        return jax.lax.scan(update, curriculum.init(key), jax.random.split(key, updates))

    return whole(jax.random.key(seed))


@functools.cache
def run_plr(prioritisation="rank", robust=False):
    buffer = LevelBuffer(32, prioritisation=prioritisation, staleness_coefficient=0.1)
    make = robust_plr if robust else plr
    return run(make(sample, BATCH, buffer=buffer, score="positive_value_loss"), 200)


def test_domain_randomisation_proposes_new_levels_and_never_restarts():
    _, (levels, plan, metrics) = run(domain_randomisation(sample, BATCH), 50)
    assert levels["difficulty"].shape == (50, BATCH) and len(np.unique(levels["difficulty"])) > 390
    assert plan.learn.all() and not plan.restart.any() and (plan.slots == -1).all()
    assert metrics == {}


def test_domain_randomisation_restarts_where_it_is_asked_to():
    _, (levels, plan, _) = run(domain_randomisation(sample, BATCH, restart=True), 3)
    assert plan.learn.all() and plan.restart.all() and (plan.slots == -1).all()
    assert len(np.unique(levels["difficulty"])) == 3 * BATCH
    with pytest.raises(ValueError, match="restart must be True or False"):
        domain_randomisation(sample, BATCH, restart="yes")


@pytest.mark.parametrize("prioritisation", ["rank", "topk"])
def test_plr_moves_to_the_levels_of_high_score(prioritisation):
    state, (levels, plan, metrics) = run_plr(prioritisation)
    replayed = np.asarray(metrics["replayed"], bool)
    assert not replayed[:2].any()  # half of 32 slots are filled after two batches
    assert 60 < replayed.sum() < 140
    assert plan.learn.all() and plan.restart.all()
    assert ((np.asarray(plan.slots) >= 0) == replayed[:, None]).all()
    difficulty = np.asarray(levels["difficulty"])
    assert abs(difficulty[~replayed].mean() - 0.5) < 0.05
    assert difficulty[100:][replayed[100:]].mean() > 0.85
    assert np.median(state.buffer.score) > 0.9 and int(state.buffer.size) == 32
    np.testing.assert_allclose(state.buffer.score, state.buffer.levels["difficulty"], rtol=1e-6)


def test_plr_metrics():
    state, (levels, _, metrics) = run_plr()
    assert set(metrics) == {
        *("buffer_size", "buffer_score_p10", "buffer_score_p50", "buffer_score_p90", "staleness_mean"),
        *("replayed", "score_mean", "score_max", "scored", "inserted"),
    }
    assert all(values.shape == (200,) and np.isfinite(values).all() for values in metrics.values())
    quantiles = [float(metrics[f"buffer_score_p{p}"][-1]) for p in (10, 50, 90)]
    np.testing.assert_allclose(quantiles, np.quantile(state.buffer.score, (0.1, 0.5, 0.9)), rtol=1e-5)
    np.testing.assert_allclose(metrics["score_mean"], levels["difficulty"].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(metrics["score_max"], levels["difficulty"].max(axis=1), rtol=1e-5)
    assert int(metrics["inserted"].sum()) == int(state.buffer.inserted) and int(metrics["buffer_size"][-1]) == 32
    assert not np.asarray(metrics["inserted"])[np.asarray(metrics["replayed"], bool)].any()
    assert float(metrics["staleness_mean"][-1]) == pytest.approx(
        float((state.buffer.clock - state.buffer.timestamp).mean())
    )


def test_robust_plr_learns_from_replays_alone():
    _, (_, plan, metrics) = run_plr(robust=True)
    assert (np.asarray(plan.learn) == np.asarray(metrics["replayed"], bool)).all()
    assert plan.learn.any() and not plan.learn.all() and plan.restart.all()
    # Nothing else differs from plr.
    _, (_, plain, _) = run_plr()
    assert plain.learn.all() and (plain.slots == plan.slots).all()


def test_plr_renews_scores_and_what_the_score_remembers():
    curriculum = plr(sample, 2, buffer=LevelBuffer(2, replay_probability=1.0))
    propose, update = jax.jit(curriculum.propose), jax.jit(curriculum.update)
    state = curriculum.init(jax.random.key(0))
    levels, plan = propose(jax.random.key(1), state)  # the buffer is empty: new levels although replay is certain
    assert plan.slots.tolist() == [-1, -1]
    state, _ = update(state, levels, play(levels), plan)
    returns = np.sort(levels["difficulty"])[::-1] ** 2
    np.testing.assert_allclose(state.buffer.extras["max_return"], returns, rtol=1e-6)
    np.testing.assert_allclose(state.buffer.score, returns, rtol=1e-6)

    plan = plan._replace(slots=jnp.array([1, 0], jnp.int32))
    levels = {"difficulty": state.buffer.levels["difficulty"][plan.slots]}
    failed = play(levels)._replace(reward=jnp.zeros((2, 2)), value=jnp.full((2, 2), 0.25))
    state, metrics = update(state, levels, failed, plan)
    np.testing.assert_allclose(state.buffer.extras["max_return"], returns, rtol=1e-6)
    np.testing.assert_allclose(state.buffer.score, returns - 0.25, rtol=1e-6)
    assert int(metrics["replayed"]) == 1 and state.buffer.timestamp.tolist() == [4, 3] and int(state.buffer.clock) == 4

    after, metrics = update(state, levels, play(levels, done=jnp.array([False, True])), plan)  # slot 1 is not measured
    np.testing.assert_allclose(after.buffer.score, [returns[0], returns[1] - 0.25], rtol=1e-6)
    assert float(metrics["scored"]) == 0.5 and float(metrics["score_mean"]) == pytest.approx(returns[0])

    nothing = play(levels, done=False)
    after, metrics = update(state, levels, nothing, plan._replace(slots=jnp.array([-1, -1], jnp.int32)))
    assert after.buffer.score.tolist() == state.buffer.score.tolist() and float(metrics["score_max"]) == 0


def test_plr_takes_a_score_of_the_user():
    def visits(rollout, extras):  # the score counts how often a level was played
        return extras["visits"] + 1.0, {"visits": extras["visits"] + 1}

    curriculum = plr(sample, BATCH, buffer=LevelBuffer(16), score=Score(visits, {"visits": np.int32(0)}))
    state, _ = run(curriculum, 30)
    assert (state.buffer.score == state.buffer.extras["visits"]).all() and int(state.buffer.score.max()) > 1


@pytest.mark.parametrize("make", [plr, accel, ncc])
def test_a_unique_buffer_remembers_a_level_that_comes_again(make):
    """A score's memory of a level goes on when the sampler makes the same one again; so does its place."""
    few = lambda key, n: {"difficulty": jax.random.randint(key, (n,), 0, 4) / 4}
    number = lambda levels: jnp.stack([(4 * levels["difficulty"]).astype(jnp.uint32)] * 2, axis=1)
    visits = Score(lambda rollout, extras: (extras + 1.0, extras + 1), np.int32(0))
    buffer = LevelBuffer(16, minimum_fill=1.0, unique=True, key_of=number)  # never full: all levels are new ones
    options = {"edit": lambda key, levels: levels} if make is accel else {}
    curriculum = make(few, BATCH, buffer=buffer, score=visits, **options)
    state, (levels, plan, _) = run(curriculum, 20)
    held = state.buffer
    assert (plan.slots < 0).all() and int(held.size) == 4
    updates = [int((levels["difficulty"] == level / 4).any(axis=1).sum()) for level in range(4)]
    found = dict(zip((4 * held.levels["difficulty"][:4]).astype(int).tolist(), held.score[:4].tolist()))
    assert found == dict(enumerate(updates))


def test_a_replay_draws_no_new_levels():
    """Sampling sits in a branch of its own, so that it costs nothing when levels are replayed."""
    curriculum = plr(sample, BATCH, buffer=LevelBuffer(16))
    jaxpr = jax.make_jaxpr(curriculum.propose)(jax.random.key(0), curriculum.init(jax.random.key(0)))
    conditionals = [equation for equation in jaxpr.eqns if equation.primitive.name == "cond"]
    assert len(conditionals) == 1 and len(conditionals[0].params["branches"]) == 2


@pytest.mark.parametrize("name", CURRICULA)
def test_every_curriculum_can_be_made_by_name(name):
    options = {"capacity": 16, "score": "positive_value_loss", "temperature": 0.5, "edit": lambda key, levels: levels}
    options = {key: value for key, value in options.items() if key in curriculum_options(name)}
    curriculum = make_curriculum(name, sample, BATCH, **options)
    levels, plan = curriculum.propose(jax.random.key(0), curriculum.init(jax.random.key(0)))
    assert levels["difficulty"].shape == plan.slots.shape == (BATCH,)
    assert bool(plan.learn) == (
        name in ("dr", "plr", "student-regret")
    )  # the others score levels before they learn from any
    assert curriculum.students == (2 if name == "student-regret" else 1)


def test_a_former_name_works_with_a_note():
    note = "curriculum 'paired' is called 'student-regret' now: it has no adversary that builds levels"
    with pytest.warns(FutureWarning, match=note):
        assert curriculum_options("paired") == curriculum_options("student-regret")
    with pytest.warns(FutureWarning, match=note):
        assert make_curriculum("paired", sample, BATCH).students == 2
    with pytest.warns(FutureWarning, match=note):
        from kinetix_ued.curricula import paired
    assert paired is student_regret and "paired" not in CURRICULA
    with pytest.raises(ImportError, match="adversary"):
        from kinetix_ued.curricula import adversary  # noqa: F401


def test_single_buffer_settings_replace_those_of_the_buffer():
    buffer = LevelBuffer(16, temperature=0.5)
    curriculum = make_curriculum("plr", sample, BATCH, buffer=buffer, capacity=32)
    assert curriculum.init(jax.random.key(0)).buffer.score.shape == (32,)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: make_curriculum("acel", sample, 8), "unknown curriculum 'acel': use one of dr, plr, robust-plr"),
        (lambda: make_curriculum("plr", sample, 8, size=4), "no option size: it knows buffer, score, robust, capacity"),
        (lambda: make_curriculum("dr", sample, 8, capacity=4), "'dr' has no option capacity: it knows restart"),
        (lambda: make_curriculum("sfl", sample, 8, capacity=4), "no option capacity: it knows scored_levels"),
        (lambda: make_curriculum("plr", sample, 8, capacity=4), "raise capacity to at least 8"),
        (lambda: make_curriculum("plr", sample, 8, score="envy"), "unknown score"),
        (lambda: make_curriculum("plr", sample, 8, temperature=-1), "temperature must be above 0"),
        (lambda: domain_randomisation(sample, 0), "batch counts environments"),
        (lambda: plr(lambda key, n: jnp.zeros(()), 8).init(jax.random.key(0)), "leading axis of length 8"),
    ],
)
def test_refuses_static_mistakes(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_refuses_a_score_that_is_not_one_number_per_level():
    curriculum = plr(sample, BATCH, score=lambda rollout, extras: (rollout.reward, extras))
    levels, plan = curriculum.propose(jax.random.key(0), curriculum.init(jax.random.key(0)))
    with pytest.raises(ValueError, match="one number per level"):
        curriculum.update(curriculum.init(jax.random.key(0)), levels, play(levels), plan)
