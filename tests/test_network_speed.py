"""The benchmark of the actuator network counts the FLOPs of its layers and measures what they reach."""

import jax
import jax.numpy as jnp
import pytest

from kinetix_ued.agents import make_policy
from kinetix_ued.benchmarks import NetworkSettings, format_network, measure_network
from kinetix_ued.benchmarks.network_speed import dense_flops
from kinetix_ued.environment import make_actions


def test_flops_of_layers_by_hand():
    options = {"width": 16, "head_width": 8, "head_depth": 1}
    policy = make_policy("flat_mlp", "symbolic_flat", make_actions("multi_discrete"), **options)
    flops = dense_flops(policy, jnp.ones((3, 5)), jax.random.key(0))
    first, others = 2 * 5 * 16, 2 * (2 * 16 * 8 + 8 * 16 + 8 * 1)  # actor and critic; 16 logits and a value
    assert flops == {"forward": first + others, "both": 2 * first + 3 * others}


def test_every_size_and_type_is_measured():
    small = {"width": 16, "decisions": 8, "microbatch": 4, "repeats": 2, "min_seconds": 0}
    measured = measure_network(NetworkSettings(sizes=("s",), dtypes=("float32",), **small))
    (row,) = measured["rows"]
    assert (row["size"], row["dtype"]) == ("s", "float32")
    assert 2 * row["flops"]["forward"] < row["flops"]["both"] < 3 * row["flops"]["forward"]
    for name in ("forward", "both"):
        ratios = [own / plain for own, plain in zip(row["rates"][name]["rounds"], row["rates"]["product"]["rounds"])]
        assert row["ratios"][name]["rounds"] == pytest.approx(ratios, rel=1e-3)
    assert "S float32" in format_network(measured)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="sizes has 'xl': use s, m, l"):
        NetworkSettings(sizes=("xl",))
    with pytest.raises(ValueError, match="100 decisions are no multiple of a microbatch of 64"):
        NetworkSettings(decisions=100, microbatch=64)
