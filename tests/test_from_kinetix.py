"""Reading the reference's checkpoints: the same function, and plain words where a file is something else."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from kinetix_ued.agents import make_policy
from kinetix_ued.agents.from_kinetix import _places, read_kinetix_agent
from kinetix_ued.environment import make

ENV = make("s", observation="entity")
WIDTHS = dict(transformer_encoder_size=32, transformer_size=8, num_heads=4, transformer_depth=2, actor_width=16, actor_depth=2)


def checkpoint(folder, **changes):
    """A checkpoint in the reference's form: random arrays under its names, with heads on an axis of their own."""
    folder.mkdir()
    rng, arrays = np.random.default_rng(0), {}
    policy = make_policy(
        "entity_transformer", "entity", ENV.actions, head_width=16, head_depth=2, width=32, layers=2, heads=4,
        attention_width=8,
    )
    shapes = jax.eval_shape(policy.init, jax.random.key(0), ENV.observation_space())
    own = {jax.tree_util.keystr(path, simple=True, separator="/"): x.shape for path, x in jax.tree_util.tree_leaves_with_path(shapes)}
    for path, names in _places(2, 2):
        *lead, last = own.pop("/".join(path))
        for name in names:
            shape = (*lead, last // len(names))
            if "/attention1/out/kernel" in name:
                shape = (4, 2, last)
            elif "/attention1/" in name and "/out/" not in name:
                shape = (*lead, 4, 2)
            arrays[f"params/{name}"] = rng.normal(scale=0.3, size=shape).astype(np.float32)
    assert not own  # every parameter of the network has a name in the reference
    save_file(arrays, folder / "params.safetensors")
    model = WIDTHS | {"critic_width": 16, "critic_depth": 2, "aggregate_mode": "dummy_and_mean"} | changes
    (folder / "config.json").write_text(json.dumps({"model": model}))
    return arrays


def test_every_array_finds_its_place(tmp_path):
    arrays = checkpoint(tmp_path / "agent")
    policy, params = read_kinetix_agent(tmp_path / "agent", ENV.actions)
    assert jax.tree.map(np.shape, params) == jax.tree.map(
        lambda x: x.shape, jax.eval_shape(policy.init, jax.random.key(0), ENV.observation_space())
    )
    attention = params["encoder"]["attention_1"]
    theirs = lambda name: arrays[f"params/Transformer_0/tf_layers_1/attention1/{name}"]
    for n, name in enumerate(("query", "key", "value")):
        np.testing.assert_array_equal(
            attention["query_key_value"]["kernel"][:, 8 * n : 8 * n + 8].reshape(32, 4, 2), theirs(f"{name}/kernel")
        )
        np.testing.assert_array_equal(attention["query_key_value"]["bias"][8 * n : 8 * n + 8].reshape(4, 2), theirs(f"{name}/bias"))
    np.testing.assert_array_equal(attention["out"]["kernel"].reshape(4, 2, 32), theirs("out/kernel"))
    np.testing.assert_array_equal(params["head"]["critic_1"]["kernel"], arrays["params/GeneralActorCriticRNN_0/DenseAndActivation_3/Dense_0/kernel"])


def test_the_legacy_tag_makes_another_network_of_the_same_parameters(tmp_path):
    checkpoint(tmp_path / "now")
    checkpoint(tmp_path / "legacy", legacy_entity_id=True)
    rng = np.random.default_rng(1)
    seen = jax.tree.map(lambda x: rng.random((3, *x.shape)).astype(x.dtype), ENV.observation_space())
    seen = seen.replace(polygon_mask=np.ones((3, 5), bool), attention_mask=np.ones((3, 4, 7, 7), bool))
    play = lambda policy, params: policy.apply(params, (), seen, np.zeros(3, bool))[2]
    now = play(*read_kinetix_agent(tmp_path / "now", ENV.actions))
    legacy = play(*read_kinetix_agent(tmp_path / "legacy", ENV.actions))
    assert (np.abs(now - legacy) > 1e-3).all()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json in it"),
        (lambda f: (f / "params.safetensors").unlink(), "no params.safetensors in it"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "config.json").write_text("[]"), "no settings of a model"),
        (lambda f: (f / "config.json").write_text("[" * 100_000), "cannot be read"),
        (lambda f: (f / "params.safetensors").write_bytes(b"no tensors at all"), "cannot be read"),
        (lambda f: rewrite(f, transformer_depth=1), "holds Transformer_0"),
        (lambda f: rewrite(f, transformer_depth=3), "lacks Transformer_0"),
        (lambda f: rewrite(f, transformer_depth="2"), "must be a whole number"),
        (lambda f: rewrite(f, activation="relu"), "activation='relu' cannot be read"),
        (lambda f: rewrite(f, critic_depth=4), "actor and critic here are alike"),
        (lambda f: rewrite(f, transformer_encoder_size=64), "has shape"),
    ],
)
def test_what_is_no_such_checkpoint_is_refused(tmp_path, change, problem):
    checkpoint(tmp_path / "agent")
    change(tmp_path / "agent")
    with pytest.raises(ValueError, match=problem):
        read_kinetix_agent(tmp_path / "agent", ENV.actions)


def rewrite(folder, **changes):
    file = folder / "config.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps({"model": document["model"] | changes}))
