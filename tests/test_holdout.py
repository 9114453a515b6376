"""The handmade suite: enough levels, none trivial, and every one of them solved by its proof on both engines."""

from __future__ import annotations

import jax
import pytest

from kinetix_ued.benchmarks import NoopPolicy, RandomPolicy, evaluate, holdout, holdout_suite
from kinetix_ued.benchmarks.proof_checks import check_proofs
from kinetix_ued.benchmarks.proofs import load_proof
from kinetix_ued.environment import make
from kinetix_ued.levels import load_level
from kinetix_ued.world import SIZES

ENOUGH = {"s": 12, "m": 26, "l": 42}


@pytest.mark.parametrize("size", SIZES)
def test_there_are_enough_levels(size):
    assert len(holdout.holdout_names(size)) >= ENOUGH[size]


@pytest.mark.parametrize("size", SIZES)
def test_doing_nothing_and_a_hundred_random_attempts_solve_nothing_unless_the_level_says_so(size):
    suite, env = holdout_suite(size), make(size, observation="blind")
    for name, policy, attempts in (("noop", NoopPolicy(env.actions), 1), ("random", RandomPolicy(env.actions), 100)):
        found = evaluate(policy, suite, env=env, key=jax.random.key(0), attempts=attempts)
        solved = {level: rate for level, rate in zip(suite.names, found.solve_rate) if rate > 0}
        said = {level for level, about in zip(suite.names, suite.metadata) if name in about.get("solved_by", ())}
        assert set(solved) <= said, f"{name} solves {solved}: make the levels harder, or say so in solved_by"


@pytest.mark.parametrize("engine", ["warp", "jax"])
@pytest.mark.parametrize("size", SIZES)
def test_every_proof_solves_its_level_also_from_disturbed_starts(size, engine):
    names = holdout.holdout_names(size)
    proofs = [load_proof(holdout.proof_file(name)) for name in names]
    levels = [load_level(holdout.level_file(name)) for name in names]
    checks = check_proofs(levels, proofs, engine=engine)
    failed = {name: check for name, check in zip(names, checks, strict=True) if not check.holds}
    assert not failed
