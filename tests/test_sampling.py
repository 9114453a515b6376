"""Generators by name, by file and as functions, and batches of their levels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.generators import GENERATORS, RandomLevels, make_generator, sample_levels, sampler
from kinetix_ued.levels import builder, check_level
from kinetix_ued.training import preset, resume, train
from kinetix_ued.world import empty_level, size_of


def ball_on_floor(key, size):
    """Green and blue balls on the floor, a motor between the first and a bar."""
    x = jax.random.uniform(key, (2,), minval=0.5, maxval=2.0)
    level, green = builder.add_circle(empty_level(size), jnp.stack([x[0], 0.7]), 0.3, role="green")
    level, _ = builder.add_circle(level, jnp.stack([2.5 + x[1], 0.7]), 0.3, role="blue")
    level, bar = builder.add_rectangle(level, jnp.stack([x[0], 0.7]), 0.8, 0.1)
    return builder.add_joint(level, bar, green, jnp.stack([x[0], 0.7]))[0]


FILE = '''
import jax.numpy as jnp
from kinetix_ued.levels import builder
from kinetix_ued.world import empty_level

def one_ball(key, size):
    return builder.add_circle(empty_level(size), (1.0, 1.0), 0.3, role="green")[0]

def no_level(key, size):
    return jnp.zeros(3)

def small(key, size):
    return empty_level("s")
'''


def test_a_function_is_a_generator():
    levels = sample_levels(jax.random.key(0), 8, "m", generator=ball_on_floor)
    assert len(levels) == 8 and levels.size == size_of("m")
    keys = jax.random.split(jax.random.key(0), 8)
    for i in (0, 7):
        one = ball_on_floor(keys[i], size_of("m"))
        check_level(one)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[i], b, rtol=1e-6, atol=1e-6), levels, one)


def test_names_parameters_and_equality():
    assert make_generator("random") == make_generator("random", RandomLevels())
    assert hash(make_generator("random")) == hash(make_generator("random", RandomLevels()))
    no_joints = RandomLevels(connected_share=0.0, free_share=1.0, nothing_share=0.0)
    assert make_generator("random", no_joints) != make_generator("random")
    a = sample_levels(jax.random.key(0), 4, "m", no_joints)
    b = sampler("random", "m", no_joints)(jax.random.key(0), 4)
    jax.tree.map(np.testing.assert_array_equal, a, b)
    with pytest.raises(ValueError, match="takes RandomLevels, got dict"):
        make_generator("random", {"candidates": 2})
    with pytest.raises(ValueError, match="give your own function its own"):
        make_generator(ball_on_floor, no_joints)
    with pytest.raises(ValueError, match=f"unknown generator 'ranodm': use one of {', '.join(GENERATORS)}"):
        sample_levels(jax.random.key(0), 4, generator="ranodm")


def test_a_generator_in_a_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    levels = sample_levels(jax.random.key(0), 2, "s", generator=f"{path}:one_ball")
    assert levels.active.sum() == 2 * 5
    assert make_generator(f"{path}:one_ball") is make_generator(f"{path}:one_ball")
    for name, words in (
        ("two_balls", "no function 'two_balls': it has one_ball"),
        ("no_level", "returns one Level; no_level returned"),
        ("small", "was asked for one level of size 'm' and returned size 's'"),
    ):
        with pytest.raises(ValueError, match=words):
            sampler(f"{path}:{name}", "m")
    for reference, words in (
        (f"{path}", "names no function: write path/to/file.py:function"),
        (f"{tmp_path / 'other.py'}:f", "is not there"),
    ):
        with pytest.raises(ValueError, match=words):
            make_generator(reference)
    broken = tmp_path / "broken.py"
    broken.write_text("import no_such_module")
    with pytest.raises(ValueError, match="cannot be run: ModuleNotFoundError"):
        make_generator(f"{broken}:f")


@pytest.mark.parametrize("curriculum", ["dr", "robust-plr"])
def test_a_generator_of_ones_own_in_training(tmp_path, curriculum):
    config = preset("tiny-robust-plr", size="m", curriculum=curriculum, steps=8 * 16 * 2, progress=False, out=str(tmp_path / "run"))
    run = train(config, generator=ball_on_floor)
    assert run.config.generator == "custom" and run.counts["learning"] == config.steps
    with pytest.raises(ValueError, match="a generator of its own: pass the same one as generator="):
        resume(tmp_path / "run")
    assert resume(tmp_path / "run", generator=ball_on_floor).updates == run.updates


def test_training_refuses_what_is_unknown_before_it_compiles(tmp_path):
    for change, words in (
        ({"generator": "ranodm"}, "unknown generator 'ranodm'"),
        ({"generator": str(tmp_path / "mine.py:f")}, "is not there"),
        ({"filters": "noop_solves,dull"}, "unknown filter 'dull' in filters"),
    ):
        with pytest.raises(ValueError, match=words):
            train(preset("tiny-robust-plr", progress=False, out=str(tmp_path / "run"), **change))
    assert not (tmp_path / "run").exists()
