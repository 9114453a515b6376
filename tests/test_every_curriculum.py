"""Every curriculum with every size, observation, network and kind of action; and resumed exactly, from any update."""

from __future__ import annotations

import itertools
import shutil

import jax
import numpy as np
import pytest

from kinetix_ued.agents import NETWORKS
from kinetix_ued.curricula import CURRICULA
from kinetix_ued.environment import ACTIONS, OBSERVATIONS
from kinetix_ued.training import Run, method_preset, resume, train, validate
from kinetix_ued.training.build import build_curriculum, build_env, build_learner, build_network, build_sampler
from kinetix_ued.training.update import make_update
from kinetix_ued.world import SIZES

READERS = [(network, observation) for network, (_, readable) in NETWORKS.items() for observation in readable]

# Every agent (a network with an observation it reads) in every size, with and without memory; kinds of actions and
# curricula take turns, so that any two of these choices meet.
CASES = [
    (list(CURRICULA)[turn % len(CURRICULA)], list(ACTIONS)[(turn // 2 + turn // 6) % len(ACTIONS)], *agent)
    for turn, agent in enumerate(itertools.product(READERS, SIZES, (False, True)))
]


def test_any_two_choices_meet():
    curricula, actions, readers, sizes, memory = (set(column) for column in zip(*CASES, strict=True))
    assert (curricula, actions, sizes, memory) == (set(CURRICULA), set(ACTIONS), set(SIZES), {False, True})
    assert {observation for _, observation in readers} == set(OBSERVATIONS) and len(readers) == len(READERS)
    pairs = lambda a, b: {(case[a], case[b]) for case in CASES}
    assert len(pairs(0, 3)) == len(CURRICULA) * len(SIZES)
    assert len(pairs(0, 4)) == len(CURRICULA) * 2
    assert len(pairs(1, 2)) == len(ACTIONS) * len(READERS) and len(pairs(1, 3)) == len(ACTIONS) * len(SIZES)


@pytest.mark.parametrize("curriculum, actions, reader, size, recurrent", CASES)
def test_an_update_is_one_program_without_host_calls(curriculum, actions, reader, size, recurrent):
    network_name, observation = reader
    chosen = {"network": network_name, "observation": observation, "network_width": 0, "actions": actions}
    config = method_preset("tiny", curriculum, size=size, recurrent=recurrent, **chosen)
    validate(config)
    env = build_env(config)
    network = build_network(config, env)
    parts = build_curriculum(config, build_sampler(config)[0])
    init, update = make_update(config, env, network, build_learner(config, env, network), parts)
    state = jax.eval_shape(init, jax.random.key(0))
    traced = jax.jit(update).trace(state)
    after, numbers = traced.out_info
    describe = lambda tree: jax.tree.map(lambda x: (x.shape, str(x.dtype)), tree)
    assert describe(after) == describe(state)
    assert all(number.shape == () for number in numbers.values())
    assert "callback" not in str(traced.jaxpr)


class Cut(Exception):
    pass


@pytest.mark.parametrize("curriculum", CURRICULA)
def test_a_run_that_was_cut_short_ends_as_if_it_had_not_been(curriculum, tmp_path):
    small = {"observation": "symbolic_flat", "network": "flat_mlp", "max_steps": 8, "rollout_steps": 8, "outer_steps": 1}
    more = {"minimum_fill": 0.25, "checkpoint_every": 3, "progress": False, "steps": 8 * 8 * 6}
    config = lambda name: method_preset("tiny", curriculum, out=str(tmp_path / name), **small, **more)

    def cut(run, metrics):
        if run.updates == 5:
            (run.path / "checkpoints").rename(run.path / "kept")  # what a process that is killed now leaves behind
            raise Cut

    whole = train(config("whole"))
    with pytest.raises(Cut):
        train(config("cut"), callbacks=[cut])
    shutil.rmtree(tmp_path / "cut" / "checkpoints")
    (tmp_path / "cut" / "kept").rename(tmp_path / "cut" / "checkpoints")
    assert Run.load(tmp_path / "cut").updates == 3
    resumed = resume(tmp_path / "cut")
    assert resumed.updates == whole.updates >= 6 and resumed.counts == whole.counts
    last = [max((run.path / "checkpoints").glob("update_*")) / "arrays.npz" for run in (whole, resumed)]
    with np.load(last[0]) as expected, np.load(last[1]) as found:
        assert expected.files == found.files
        assert all(expected[name].tobytes() == found[name].tobytes() for name in found.files)
    numbers = lambda run: [{k: v for k, v in line.items() if "second" not in k} for line in run.metrics]
    assert numbers(resumed) == numbers(whole)
