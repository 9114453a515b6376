"""Proofs: files that read back, starts that are disturbed as they say, and checks that agree with a plain replay."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.benchmarks.proof_checks import ProofCheck, check_proof, check_proofs
from kinetix_ued.benchmarks.proofs import Proof, load_proof, save_proof
from kinetix_ued.benchmarks.solver import DISTURBANCE, disturb
from kinetix_ued.environment import replay
from kinetix_ued.levels import builder, hash_text
from kinetix_ued.world import components, empty_level
from kinetix_ued.world.geometry import rotate, rotation_matrix

FIRE = np.array([0, 0, 0, 0, 1, 0])


def rocket(height=1.0, size="s"):
    """A green ball without weight whose thruster pushes it right, to a blue one."""
    level = builder.set_gravity(empty_level(size), 0.0)
    level, ball = builder.add_circle(level, (1.0, 0.85), 0.25, role="green")
    level, _ = builder.add_circle(level, (3.5, height), 0.3, role="blue", fixed=True)
    level, _ = builder.add_thruster(level, ball, (1.0, 0.85), 0.0, 0.05)
    return level


def jointed():
    """A free pair, a pair tied to the left wall, a pair with a fixed shape, and two by themselves, one fixed."""
    level = empty_level("l")
    level, a = builder.add_rectangle(level, (1.5, 3.0), 0.6, 0.2, 0.3)
    level, b = builder.add_circle(level, (1.8, 3.1), 0.2)
    level, _ = builder.add_joint(level, a, b, (1.75, 3.05))
    level, c = builder.add_rectangle(level, (0.3, 2.0), 0.6, 0.2)
    level, d = builder.add_circle(level, (0.7, 2.0), 0.2)
    level, _ = builder.add_joint(level, 1, c, (0.0, 2.0))
    level, _ = builder.add_joint(level, d, c, (0.6, 2.0))
    level, e = builder.add_rectangle(level, (3.0, 2.0), 0.4, 0.4, fixed=True)
    level, f = builder.add_rectangle(level, (3.0, 1.5), 0.2, 0.8)
    level, _ = builder.add_joint(level, e, f, (3.0, 1.85))
    level, g = builder.add_rectangle(level, (4.0, 1.0), 0.4, 0.4)
    level, h = builder.add_rectangle(level, (4.0, 3.0), 0.4, 0.4, fixed=True)
    return level, list(map(int, (a, b, c, d, e, f, g, h)))


def gaps(level):
    """Between the two points of each joint [m] (J)."""
    turn = rotation_matrix(level.rotation)
    at = lambda body, anchor: level.position[body] + rotate(turn[body], anchor)
    gap = at(level.joint_a, level.joint_anchor_a) - at(level.joint_b, level.joint_anchor_b)
    return jnp.linalg.norm(gap, axis=-1) * level.joint_active


def test_a_disturbance_moves_groups_as_one_and_leaves_joints_closed():
    level, (a, b, c, d, e, f, g, _) = jointed()
    keys = jax.random.split(jax.random.key(0), 200)
    far = 1e-2  # float32 resolves it well
    moved = jax.jit(jax.vmap(disturb, (0, None, None)))(keys, level, far)
    shift = np.asarray(moved.position - level.position)
    length = np.linalg.norm(shift, axis=-1)
    assert length.max() <= far + 1e-6 and length[:, g].max() > 0.95 * far  # up to the radius, and never beyond
    assert abs(np.mean(length[:, g] ** 2) / far**2 - 0.5) < 0.1  # uniform in the disk
    still = [i for i in range(level.size.bodies) if i not in (a, b, c, d, e, f, g)]
    np.testing.assert_array_equal(shift[:, still], 0)  # the room, fixed shapes by themselves, empty slots
    for one, other in ((a, b), (c, d), (e, f)):
        np.testing.assert_allclose(shift[:, one], shift[:, other], atol=1e-6)
    for one, other in ((a, c), (c, e), (e, g)):
        assert np.abs(shift[:, one] - shift[:, other]).max() > far / 2
    assert float(jax.vmap(gaps)(moved).max()) < 1e-6 + float(gaps(level).max())
    same = jax.tree.map(np.array_equal, jax.device_get(disturb(keys[0], level, 0.0)), jax.device_get(level))
    assert all(jax.tree.leaves(same))
    untouched = {field.name for field in dataclasses.fields(level)} - {
        "size",
        "position",
        "joint_anchor_a",
        "joint_anchor_b",
    }
    for name in untouched:
        np.testing.assert_array_equal(getattr(moved, name)[0], getattr(level, name))
    np.testing.assert_array_equal(moved.joint_anchor_b, jnp.broadcast_to(level.joint_anchor_b, (200, 6, 2)))


def test_disturbed_groups_that_hang_on_the_room_are_labelled_by_it():
    level, (_, _, c, d, *_) = jointed()
    label = np.asarray(components(level))
    assert label[c] == label[d] == 1  # what the test above relies on


def test_a_check_agrees_with_a_replay_on_both_engines():
    level, actions = rocket(), np.tile(FIRE, (100, 1))
    track = replay(level, actions, engine="jax")
    steps = int(np.argmax(track["done"])) + 1
    assert track["goal"][steps - 1] and 20 < steps < 90
    proof = Proof(hash_text(level), steps, actions[: steps + 5])
    for engine in ("jax", "warp"):
        check = check_proof(level, proof, engine=engine)
        assert check == ProofCheck(True, steps, 10, 10) and check.holds


def test_levels_are_checked_together_as_they_are_alone():
    far_off = rocket(4.5)  # out of reach
    levels = [rocket(0.7), far_off, rocket(0.9)]
    proofs = [Proof(hash_text(level), 70, np.tile(FIRE, (70, 1))) for level in levels]
    together = check_proofs(levels, proofs, engine="warp", draws=4)
    assert [check.solved for check in together] == [True, False, True]
    assert [check.robust for check in together] == [4, 0, 4] and not together[1].holds
    assert check_proof(levels[2], proofs[2], engine="warp", draws=4) == together[2]
    larger = rocket(0.7, "m")
    assert check_proofs([larger, levels[0]], [proofs[0]] * 2, engine="warp", draws=4) == [together[0]] * 2


def test_actions_end_and_nothing_is_pressed_from_then_on():
    level = rocket()
    pushes = np.tile(FIRE, (10, 1))
    check = check_proof(level, Proof(hash_text(level), 10, pushes), engine="warp", draws=1)  # it coasts from then on
    track = replay(level, np.concatenate([pushes, np.zeros((246, 6), int)]), engine="warp")
    assert check.solved and check.steps == int(np.argmax(track["goal"])) + 1 > 60


def test_what_does_not_belong_together_is_refused():
    level = rocket()
    proof = Proof(hash_text(level), 1, FIRE[None])
    with pytest.raises(ValueError, match="it was changed"):
        check_proof(rocket(0.9), proof)
    with pytest.raises(ValueError, match="each level needs one proof"):
        check_proofs([level], [])
    with pytest.raises(ValueError, match="draws must be at least 1"):
        check_proof(level, proof, draws=0)
    with pytest.raises(ValueError, match="record all up to the goal"):
        Proof("0", 2, FIRE[None])
    with pytest.raises(ValueError, match="multi_discrete actions are"):
        Proof("0", 1, FIRE[None] * 3)


def test_holding_means_eight_of_ten():
    assert ProofCheck(True, 5, 8, 10).holds and not ProofCheck(True, 5, 7, 10).holds
    assert ProofCheck(True, 5, 4, 5).holds and not ProofCheck(False, 5, 10, 10).holds


def test_files_read_back_and_are_not_replaced_unasked(tmp_path):
    actions = np.repeat([FIRE, 0 * FIRE, FIRE + [2, 0, 1, 0, 0, 1]], [7, 1, 30], axis=0)
    proof, path = Proof("00ff", 33, actions), tmp_path / "s" / "rocket.json"
    save_proof(proof, path)
    document = json.loads(path.read_text())
    assert document["sequence"] == [[7, 0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0, 0], [30, 2, 0, 1, 0, 1, 1]]
    assert document["schema"] == "kinetix-ued/proof" and document["schema_version"] == 1 and document["steps"] == 33
    read = load_proof(path)
    assert (read.level, read.steps, read.frame_skip) == ("00ff", 33, 2)
    np.testing.assert_array_equal(read.actions, actions)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save_proof(dataclasses.replace(proof, steps=1), path)
    assert path.read_bytes() == before
    save_proof(dataclasses.replace(proof, steps=1), path, overwrite=True)
    assert load_proof(path).steps == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": "other"}, "is not a proof, its schema is 'other'"),
        ({"schema_version": 9}, "schema_version 9"),
        ({"actions": "discrete"}, "actions: invalid enum value 'discrete'"),
        ({"sequence": [[1, 2]]}, r"sequence\[0\]: expected 'array' of length 7, got 2"),
        ({"sequence": [[0, 0, 0, 0, 0, 1, 0]]}, r"sequence\[0\]\[0\]: expected 'int' >= 1"),
        ({"sequence": [[1, 0, 0, 0, 0, 2, 0]]}, "sequence: multi_discrete actions are .*; step 0 has"),
        ({"sequence": [[1, 0, 0, 0, 0, 1, 10**30]]}, r"sequence\[0\]\[6\]: "),
        ({"sequence": [[100_000, 0, 0, 0, 0, 1, 0]] * 2}, "sequence: it has more than 100000 actions"),
        ({"sequence": []}, "sequence: expected 'array' of length >= 1"),
        ({"sequence": None}, "sequence: expected 'array', got 'null'"),
        ({"steps": 50}, "record all up to the goal"),
        ({"steps": None}, "steps: expected 'int', got 'null'"),
        ({"steps": True}, "steps: expected 'int', got 'bool'"),
        ({"frame_skip": 0}, "frame_skip: expected 'int' >= 1"),
    ],
)
def test_broken_files_are_refused(tmp_path, changes, words):
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(Proof("00ff", 1, FIRE[None]).to_dict() | changes))
    with pytest.raises(ValueError, match=words) as refusal:
        load_proof(path)
    assert "proof.json" in str(refusal.value)
    path.write_text("[1, ")
    with pytest.raises(ValueError, match="proof.json cannot be read"):
        load_proof(path)


def test_the_default_disturbance_is_a_tenth_of_a_millimetre():
    assert DISTURBANCE == 1e-4
