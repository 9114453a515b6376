"""Networks and policies: sizes, symmetries, masks, memory, and flax's own layers as oracles."""

import functools
from types import SimpleNamespace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.agents import make_policy
from kinetix_ued.agents.entity_transformer import Attention, Gate
from kinetix_ued.agents.heads import ActorCritic
from kinetix_ued.agents.recurrent import GatedRecurrentUnit
from kinetix_ued.environment import EntityObservation, make_actions
from kinetix_ued.world import SIZES

MULTI_DISCRETE = make_actions("multi_discrete")
PADDED = {"s": (6, 41), "m": (10, 45), "l": (21, 59)}
FLAT = {"s": (140,), "m": (247,), "l": (679,)}
SMALL = {
    "entity_transformer": dict(width=16, layers=1, heads=4, attention_width=8),
    "permutation_invariant": dict(width=16, encoder_width=12),
    "flat_mlp": dict(width=16),
}


def random_entities(seed: int, size: str = "s", batch: tuple[int, ...] = ()) -> EntityObservation:
    """Random features, masks and links of a scene of ``size``; the room is active, some other slots are not."""
    slots, rng = SIZES[size], np.random.default_rng(seed)
    features = lambda *shape: rng.normal(size=(*batch, *shape)).astype(np.float32)
    active = lambda count: rng.random((*batch, count)) < 0.7
    polygon_mask, circle_mask = active(slots.polygons), active(slots.circles)
    polygon_mask[..., :4] = True
    body_mask = np.concatenate([polygon_mask, circle_mask], axis=-1)
    attention = rng.random((*batch, 4, slots.bodies, slots.bodies)) < 0.5
    attention |= np.eye(slots.bodies, dtype=bool)
    ends = rng.integers(0, slots.bodies, (*batch, slots.joints, 2))
    holders = rng.integers(0, slots.bodies, (*batch, slots.thrusters))
    holds = lambda bodies: np.take_along_axis(body_mask, bodies.reshape(*batch, -1), axis=-1).reshape(bodies.shape)
    joint_mask = active(slots.joints) & holds(ends).all(-1)
    return EntityObservation(
        circles=features(slots.circles, 19),
        polygons=features(slots.polygons, 27),
        joints=features(2 * slots.joints, 22),
        thrusters=features(slots.thrusters, 8),
        circle_mask=circle_mask,
        polygon_mask=polygon_mask,
        joint_mask=np.concatenate([joint_mask, joint_mask], axis=-1),
        thruster_mask=active(slots.thrusters) & holds(holders),
        attention_mask=attention & body_mask[..., None, :, None] & body_mask[..., None, None, :],
        joint_indexes=np.concatenate([ends, ends[..., ::-1]], axis=-2).astype(np.int32),
        thruster_indexes=holders.astype(np.int32),
    )


def small_policy(network: str, observation: str = "entity", actions=MULTI_DISCRETE, **options):
    return make_policy(network, observation, actions, head_width=16, head_depth=1, **SMALL[network], **options)


@functools.cache
def compiled(policy):
    return jax.jit(policy.apply)


def outputs(policy, params, observation, carry=()):
    """Logits and value of a batch of observations."""
    batch = len(jax.tree.leaves(observation)[0])
    _, distribution, value = compiled(policy)(params, carry, observation, jnp.zeros(batch, bool))
    return np.concatenate([distribution.logits, value[:, None]], axis=-1)


def random_like(shapes, seed: int = 0):
    """Random parameters of those shapes, no bias or weight at a special value."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: rng.normal(scale=0.3, size=x.shape).astype(np.float32), shapes)


def random_params(policy, observations):
    """Random parameters for a batch of observations."""
    return random_like(jax.eval_shape(policy.init, jax.random.key(0), jax.tree.map(lambda x: x[0], observations)))


@pytest.mark.parametrize(
    ("network", "observation", "size", "options", "count"),
    [
        ("entity_transformer", "entity", "s", {}, 786_369),
        ("entity_transformer", "entity", "l", {}, 786_369),
        ("entity_transformer", "entity", "m", {"recurrent": True}, 1_115_073),
        ("permutation_invariant", "entity", "s", {}, 221_521),
        ("permutation_invariant", "entity", "l", {}, 221_521),
        ("permutation_invariant", "symbolic_flat_padded", "s", {}, 210_833),
        ("permutation_invariant", "symbolic_flat_padded", "m", {}, 211_857),
        ("permutation_invariant", "symbolic_flat_padded", "l", {}, 215_441),
        ("flat_mlp", "symbolic_flat", "s", {}, 185_361),
        ("flat_mlp", "symbolic_flat", "m", {}, 199_057),
        ("flat_mlp", "symbolic_flat", "l", {}, 254_353),
    ],
)
def test_the_default_networks_are_as_large_as_the_references(network, observation, size, options, count):
    policy = make_policy(network, observation, MULTI_DISCRETE, **options)
    shapes = {"symbolic_flat": FLAT, "symbolic_flat_padded": PADDED}
    example = random_entities(0, size) if observation == "entity" else jnp.zeros(shapes[observation][size])
    params = jax.eval_shape(policy.init, jax.random.key(0), example)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


@pytest.mark.parametrize("network", ["entity_transformer", "permutation_invariant"])
def test_the_order_of_slots_does_not_matter(network):
    scene = random_entities(1, "m", batch=(1,))
    slots, rng = SIZES["m"], np.random.default_rng(2)
    polygons, circles = rng.permutation(slots.polygons), rng.permutation(slots.circles)
    joints, thrusters = rng.permutation(2 * slots.joints), rng.permutation(slots.thrusters)
    bodies = np.concatenate([polygons, slots.polygons + circles])
    place = np.argsort(bodies).astype(np.int32)  # where each body went
    permuted = EntityObservation(
        circles=scene.circles[:, circles],
        polygons=scene.polygons[:, polygons],
        joints=scene.joints[:, joints],
        thrusters=scene.thrusters[:, thrusters],
        circle_mask=scene.circle_mask[:, circles],
        polygon_mask=scene.polygon_mask[:, polygons],
        joint_mask=scene.joint_mask[:, joints],
        thruster_mask=scene.thruster_mask[:, thrusters],
        attention_mask=scene.attention_mask[:, :, bodies][..., bodies],
        joint_indexes=place[scene.joint_indexes[:, joints]],
        thruster_indexes=place[scene.thruster_indexes[:, thrusters]],
    )
    policy = small_policy(network)
    params = random_params(policy, scene)
    np.testing.assert_allclose(outputs(policy, params, permuted), outputs(policy, params, scene), rtol=1e-4, atol=1e-5)


def with_other_inactive_slots(scene: EntityObservation) -> EntityObservation:
    """The same scene with other numbers in every inactive slot."""
    noise = random_entities(77, "m", batch=scene.circle_mask.shape[:1])
    pick = lambda mask, yes, no: np.where(mask.reshape(mask.shape + (1,) * (yes.ndim - mask.ndim)), yes, no)
    bodies = np.concatenate([scene.polygon_mask, scene.circle_mask], axis=-1)
    pairs = bodies[:, None, :, None] & bodies[:, None, None, :]
    changed = {"attention_mask": np.where(pairs, scene.attention_mask, noise.attention_mask)}
    for kind in ("circle", "polygon", "joint", "thruster"):
        mask = getattr(scene, f"{kind}_mask")
        for field in (f"{kind}s", f"{kind}_indexes"):
            if hasattr(scene, field):
                changed[field] = pick(mask, getattr(scene, field), getattr(noise, field))
    return scene.replace(**changed)


@pytest.mark.parametrize("network", ["entity_transformer", "permutation_invariant"])
def test_inactive_slots_have_no_influence(network):
    scene = random_entities(3, "m", batch=(8,))
    other = with_other_inactive_slots(scene)
    assert not np.array_equal(scene.circles, other.circles) and not np.array_equal(scene.joints, other.joints)
    policy = small_policy(network)
    params = random_params(policy, scene)
    np.testing.assert_allclose(outputs(policy, params, other), outputs(policy, params, scene), rtol=1e-5, atol=1e-6)

    gradient = jax.jit(jax.grad(lambda p: policy.apply(p, (), other, jnp.zeros(8, bool))[2].sum()))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def padded_to_l(scene: EntityObservation) -> EntityObservation:
    """A batch of size s scenes in the slots of size l, polygons before circles."""
    small, large = SIZES["s"], SIZES["l"]
    result = jax.tree.map(np.array, random_entities(5, "l", batch=scene.circle_mask.shape[:1]))
    place = np.concatenate([np.arange(small.polygons), large.polygons + np.arange(small.circles)]).astype(np.int32)
    for kind in ("circle", "polygon", "joint", "thruster"):
        count = getattr(scene, f"{kind}_mask").shape[1]
        getattr(result, f"{kind}_mask")[:] = False
        getattr(result, f"{kind}_mask")[:, :count] = getattr(scene, f"{kind}_mask")
        getattr(result, f"{kind}s")[:, :count] = getattr(scene, f"{kind}s")
    result.attention_mask[:] = False
    result.attention_mask[:, :, place[:, None], place] = scene.attention_mask
    result.joint_indexes[:, : scene.joint_indexes.shape[1]] = place[scene.joint_indexes]
    result.thruster_indexes[:, : scene.thruster_indexes.shape[1]] = place[scene.thruster_indexes]
    return result


@pytest.mark.parametrize("network", ["entity_transformer", "permutation_invariant"])
def test_a_scene_means_the_same_in_a_larger_size(network):
    scene = random_entities(4, "s", batch=(4,))
    policy = small_policy(network)
    params = random_params(policy, scene)
    large = padded_to_l(scene)
    np.testing.assert_allclose(outputs(policy, params, large), outputs(policy, params, scene), rtol=1e-4, atol=1e-5)


def test_every_part_of_an_entity_observation_is_read():
    scene = random_entities(6, "m", batch=(1,))
    masks = {name: np.ones_like(getattr(scene, name)) for name in vars(scene) if name.endswith("_mask")}
    scene = scene.replace(**masks | {"attention_mask": scene.attention_mask})
    policy = small_policy("entity_transformer")
    params = random_params(policy, scene)
    before = outputs(policy, params, scene)
    for name, values in vars(scene).items():
        if name == "attention_mask":
            for relation in range(4):
                values = scene.attention_mask.copy()
                values[:, relation] ^= ~np.eye(SIZES["m"].bodies, dtype=bool)
                assert np.abs(outputs(policy, params, scene.replace(attention_mask=values)) - before).max() > 1e-4
            continue
        changed = ~values if values.dtype == bool else (values + 1 if values.dtype == np.float32 else (values + 1) % 9)
        if name == "polygon_mask":
            changed[:, 0] = True
        assert np.abs(outputs(policy, params, scene.replace(**{name: changed})) - before).max() > 1e-4, name


def test_attention_is_flax_attention():
    bodies = jax.random.normal(jax.random.key(0), (3, 6, 16))
    visible = jnp.arange(3 * 4 * 36).reshape(3, 4, 6, 6) % 5 > 1
    ours = Attention(heads=8, width=16)
    params = random_like(jax.eval_shape(ours.init, jax.random.key(1), bodies, visible))["params"]
    kernels = jnp.split(params["query_key_value"]["kernel"], 3, axis=1)
    biases = jnp.split(params["query_key_value"]["bias"], 3)
    theirs = {
        name: {"kernel": kernel.reshape(16, 8, 2), "bias": bias.reshape(8, 2)}
        for name, kernel, bias in zip(("query", "key", "value"), kernels, biases, strict=True)
    }
    theirs["out"] = {"kernel": params["out"]["kernel"].reshape(8, 2, 16), "bias": params["out"]["bias"]}
    oracle = nn.MultiHeadDotProductAttention(num_heads=8, qkv_features=16, out_features=16)
    expected = oracle.apply({"params": theirs}, bodies, mask=jnp.repeat(visible, 2, axis=1))
    np.testing.assert_allclose(ours.apply({"params": params}, bodies, visible), expected, rtol=1e-4, atol=1e-5)


def test_the_gate_is_a_gru_cell_with_the_body_as_its_state():
    old, new = jax.random.normal(jax.random.key(0), (2, 5, 8))
    params = random_like(jax.eval_shape(Gate().init, jax.random.key(1), old, new))["params"]
    x, y = np.array(old, np.float64), np.array(new, np.float64)
    product = lambda z, name: z @ np.array(params[name]["kernel"], np.float64)
    sigmoid = lambda z: 1 / (1 + np.exp(-z))
    reset = sigmoid(product(y, "reset_new") + product(x, "reset_old"))
    update = sigmoid(product(y, "update_new") + product(x, "update_old") - np.array(params["bias"]))
    candidate = np.tanh(product(y, "candidate_new") + product(reset * x, "candidate_old"))
    expected = (1 - update) * x + update * candidate
    np.testing.assert_allclose(Gate().apply({"params": params}, old, new), expected, rtol=1e-4, atol=1e-5)


def test_the_memory_is_a_flax_gru_that_forgets_on_reset():
    inputs, carry = jax.random.normal(jax.random.key(0), (4, 3, 5)), jax.random.normal(jax.random.key(1), (3, 6))
    resets = jnp.array([[0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]], bool)
    shapes = jax.eval_shape(GatedRecurrentUnit(6).init, jax.random.key(2), carry, inputs, resets)
    params = random_like(shapes)["params"]
    last, hidden = GatedRecurrentUnit(6).apply({"params": params}, carry, inputs, resets)

    theirs = {}
    for gate, kernel, bias, recurrent in zip(
        "rzn",
        jnp.split(params["input"]["kernel"], 3, axis=1),
        jnp.split(params["input"]["bias"], 3),
        jnp.split(params["recurrent"], 3, axis=1),
        strict=True,
    ):
        theirs[f"i{gate}"] = {"kernel": kernel, "bias": bias}
        theirs[f"h{gate}"] = {"kernel": recurrent}
    theirs["hn"]["bias"] = params["candidate_bias"]
    for t in range(4):
        carry = jnp.where(resets[t][:, None], 0.0, carry)
        carry, _ = nn.GRUCell(6).apply({"params": theirs}, carry, inputs[t])
        np.testing.assert_allclose(hidden[t], carry, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(last, hidden[-1])


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("actions", ["multi_discrete", "discrete", "continuous"])
def test_unroll_equals_steps(recurrent, actions):
    actions = make_actions(actions)
    policy = small_policy("flat_mlp", "symbolic_flat", actions, recurrent=recurrent)
    observations, resets = jax.random.normal(jax.random.key(0), (5, 3, 7)), jnp.arange(15).reshape(5, 3) % 4 == 3
    params = random_params(policy, observations[0])
    carry = jax.tree.map(lambda x: x + 0.5, policy.initial_carry(3))
    distribution, values = jax.jit(policy.unroll)(params, carry, observations, resets)
    step = jax.jit(policy.apply)
    for t in range(5):
        carry, now, value = step(params, carry, observations[t], resets[t])
        np.testing.assert_allclose(values[t], value, rtol=1e-4, atol=1e-5)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[t], b, rtol=1e-4, atol=1e-5), distribution, now)
    assert now.sample(jax.random.key(2)).shape == (3, *actions.shape)
    assert isinstance(carry, tuple) is not recurrent


def test_a_reset_hides_the_past():
    policy = small_policy("flat_mlp", "blind", recurrent=True)
    params = random_params(policy, jnp.zeros((2, 4)))
    now, reset = jnp.ones((2, 4)), jnp.array([True, False])
    step = lambda carry: policy.apply(params, carry, now, reset)[2]
    from_zero, from_past = step(policy.initial_carry(2)), step(policy.initial_carry(2) + 1)
    assert from_zero[0] == from_past[0]
    assert abs(from_zero[1] - from_past[1]) > 1e-3


def test_half_precision_keeps_parameters_and_results_in_float32():
    scene = random_entities(8, batch=(4,))
    half, full = (small_policy("entity_transformer", dtype=dtype) for dtype in (jnp.bfloat16, None))
    shapes = jax.eval_shape(half.init, jax.random.key(0), jax.tree.map(lambda x: x[0], scene))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(shapes))
    params = jax.tree.map(lambda x: x / 3, random_like(shapes))
    got, expected = outputs(half, params, scene), outputs(full, params, scene)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=0.1)
    assert np.abs(got - expected).max() > 0


def test_the_first_policy_is_nearly_uniform_and_the_first_value_is_not_zero():
    head, embedding = ActorCritic(MULTI_DISCRETE, width=16, depth=1), jax.random.normal(jax.random.key(0), (64, 16))
    distribution, value = jax.jit(lambda: head.init_with_output(jax.random.key(1), embedding)[0])()
    assert np.abs(distribution.logits).max() < 0.1 < np.abs(value).max()


def test_wrong_combinations_are_refused_with_a_remedy():
    with pytest.raises(ValueError, match="use one of actuator, entity_transformer, permutation_invariant, flat_mlp, cnn"):
        make_policy("perceptron", "entity", MULTI_DISCRETE)
    with pytest.raises(ValueError, match="not 'symbolic_flat': use network 'flat_mlp'"):
        make_policy("entity_transformer", "symbolic_flat", MULTI_DISCRETE)
    with pytest.raises(ValueError, match="use network 'entity_transformer' or 'permutation_invariant'"):
        make_policy("flat_mlp", SimpleNamespace(name="entity"), MULTI_DISCRETE)
    with pytest.raises(ValueError, match="no option 'depth': use one of width, layers"):
        make_policy("entity_transformer", "entity", MULTI_DISCRETE, depth=3)
    with pytest.raises(ValueError, match="heads must be a multiple of 4"):
        make_policy("entity_transformer", "entity", MULTI_DISCRETE, heads=6)
    with pytest.raises(ValueError, match="no action type"):
        make_policy("entity_transformer", "entity", object())
