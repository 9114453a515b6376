"""Students of runs, saved agents, agents of Kinetix and proofs: what they are taught, and that they learn it."""

import importlib.resources
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_from_kinetix import checkpoint

from kinetix_ued.agents import load
from kinetix_ued.benchmarks import evaluate
from kinetix_ued.benchmarks.proofs import Proof, is_proof, save_proof
from kinetix_ued.cli import main
from kinetix_ued.generators import sample_levels
from kinetix_ued.levels import hash_text, save_level
from kinetix_ued.training import Run, preset, resume, save_agent, train, validate
from kinetix_ued.training.build import decision_env
from kinetix_ued.training.proven import _decisions_to_goal, find_proofs, voted_decisions
from kinetix_ued.training.teacher import TEACHER, find_teacher

SMALL = {
    "observation": "scene", "network": "actuator", "network_width": 8, "head_width": 8, "environments": 8,
    "rollout_steps": 16, "progress": False, "normalise_observations": False,
}  # fmt: skip


def config(out, updates=2, **changes):
    hold = changes.get("decision_frames", 2) // 2
    return preset("tiny", **SMALL | {"out": str(out), "steps": 8 * 16 * 2 * hold * updates} | changes)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A run that decides every four frames, with parameters that say something."""
    run = train(config(tmp_path_factory.mktemp("teacher") / "run", decision_frames=4, updates=1))
    run.policy.params = jax.tree.map(
        lambda x: x + 0.1 * jax.random.normal(jax.random.key(9), x.shape), run.policy.params
    )
    file = run.path.parent / "agent.safetensors"
    save_agent(file, run, name="wild")
    return file


# What a teacher says


@pytest.mark.parametrize("frames", [2, 4, 8])
def test_what_a_teacher_says_of_a_decision(teacher, frames):
    """Against a loop over the environment's own steps, with a teacher that decides every second one of them."""
    student = config("none", teacher=str(teacher), decision_frames=frames)
    guide, rules, agent = find_teacher(student).guide(student), decision_env(student), load(teacher)
    levels = sample_levels(jax.random.key(3), 12, size="s")
    states = jax.vmap(rules.reset_to_level, (None, 0, None))(jax.random.key(0), levels, rules.default_params)[1]
    memory = guide.begin(levels)
    env, limits = agent.env, agent.env.default_params.replace(max_steps=student.max_steps)
    view = decision_env(config("none"))  # sees the time as a share of the same episode
    plain, never, held = states, jnp.zeros(12, bool), None
    step = jax.jit(guide.step)
    sample = jax.jit(jax.vmap(lambda key: rules.actions.sample(key)))
    look = jax.jit(lambda state: agent.network.apply(agent.params, (), jax.vmap(view.observe)(state), never)[1])
    advance = jax.jit(jax.vmap(env.advance, in_axes=(0, 0, None)))
    over, elapsed = never, 0
    for decision in range(4):
        action = sample(jax.random.split(jax.random.key(decision), 12))
        memory, states, reward, done, _, lesson = step(
            jax.random.key(20 + decision), memory, states, action, never, jnp.array(True)
        )
        chances, counted, gained, before = 0.0, 0, 0.0, over
        for _ in range(frames // 2):
            if elapsed % 2 == 0:
                held = look(plain)
            alive = ~over
            logits = jnp.split(held.logits, np.cumsum(held.heads)[:-1], axis=-1)
            chances += alive[:, None] * jnp.concatenate([jax.nn.softmax(x) for x in logits], axis=-1)
            counted += alive
            plain, gain, now, info = advance(plain, action, limits)
            gain = gain if decision else info["goal"].astype(jnp.float32) - info["failure"]
            gained, over, elapsed = gained + jnp.where(alive, gain, 0), over | now, elapsed + 1
        going = ~before
        logits = jnp.split(lesson.teacher.logits, np.cumsum(held.heads)[:-1], axis=-1)
        said = jnp.concatenate([jax.nn.softmax(x) for x in logits], axis=-1)
        np.testing.assert_allclose(said[going], (chances / counted[:, None])[going], rtol=2e-4, atol=1e-5)
        np.testing.assert_allclose(reward[going], gained[going], atol=1e-5)
        np.testing.assert_array_equal(done[going], over[going])
        assert lesson.own.all() and (lesson.weight == 1).all() and (states.time[going & ~over] == decision + 1).all()
    assert over.sum() < 12


def test_a_teacher_that_leads_acts_and_one_that_is_not_asked_says_nothing(teacher):
    student = config("none", teacher=str(teacher), decision_frames=8)
    guide, rules = find_teacher(student).guide(student), decision_env(student)
    levels = sample_levels(jax.random.key(3), 12, size="s")
    states = jax.vmap(rules.reset_to_level, (None, 0, None))(jax.random.key(0), levels, rules.default_params)[1]
    action = jnp.broadcast_to(rules.actions.noop(), (12, 6))
    step = jax.jit(guide.step)
    leads = jnp.arange(12) % 2 == 0
    play = lambda leads, asked: step(jax.random.key(1), guide.begin(levels), states, action, leads, jnp.array(asked))
    (_, led, *_, lesson), (_, alone, _, done, _, silence), (_, own, *_) = (
        play(leads, True), play(leads & False, False), play(leads & False, True)
    )  # fmt: skip
    going = ~np.asarray(done)  # what happens after the end of an episode does not matter
    distance = lambda one: np.abs(np.asarray(one.world.position - alone.world.position)).max(axis=(1, 2))[going]
    assert going.sum() > 8 and (distance(own) < 1e-5).all()
    assert (distance(led) > 1e-4)[np.asarray(leads)[going]].any()
    assert (distance(led) < 1e-5)[~np.asarray(leads)[going]].all()
    np.testing.assert_array_equal(lesson.own, ~leads)
    assert (silence.weight == 0).all() and silence.own.all()


# Runs


def test_a_student_that_is_its_teacher_has_nothing_to_learn(teacher, tmp_path):
    run = train(
        config(
            tmp_path / "run", teacher=str(teacher), init_from=str(teacher), decision_frames=4, value_coefficient=0.0,
            updates=1, learning_rate=1e-9,
        )
    )  # fmt: skip
    (line,) = run.metrics
    assert abs(line["loss/imitation"]) < 1e-6 and line["loss/agreement"] == 1
    assert run.config.teacher_hash == load(teacher).card["hash"]


def test_a_student_learns_and_then_goes_on_by_itself_and_is_resumed(teacher, tmp_path):
    own = tmp_path / "own.safetensors"
    shutil.copy(teacher, own)
    options = {"teacher": str(own), "decision_frames": 8, "checkpoint_every": 4, "learning_rate": 3e-3}
    options |= {"imitation_steps": 6 * 8 * 16 * 2 * 4, "updates": 8, "epochs": 4}
    whole = train(config(tmp_path / "whole", **options))
    lines = whole.metrics
    assert lines[5]["loss/imitation"] < lines[0]["loss/imitation"]
    assert all(line["loss/imitation"] is not None for line in lines[:6]) and lines[6]["loss/imitation"] is None
    part = train(config(tmp_path / "part", **options), callbacks=[lambda run, _: run.updates == 4 and run.stop("half")])
    assert part.updates == 4
    own.unlink()  # a run keeps its teacher
    resumed = resume(part.path)
    jax.tree.map(np.testing.assert_array_equal, resumed.policy.params, whole.policy.params)
    assert load(part.path / TEACHER / "agent.safetensors").card["hash"] == whole.config.teacher_hash
    save_agent(tmp_path / "student.safetensors", Run.load(whole.path), name="student")
    assert load(tmp_path / "student.safetensors").card["training"]["config"]["teacher"] == str(own)


def test_an_agent_of_kinetix_teaches_another_network(tmp_path):
    checkpoint(tmp_path / "theirs")
    file = tmp_path / "theirs.safetensors"
    assert main(["agents", "import", str(tmp_path / "theirs"), "--out", str(file), "--name", "theirs"]) == 0
    options = {"teacher": str(file), "observation": "symbolic_flat", "network": "flat_mlp", "teacher_share": 0.0}
    run = train(config(tmp_path / "run", decision_frames=4, updates=1, **options))
    (line,) = run.metrics
    assert line["loss/imitation"] > 0 and 0 < line["loss/agreement"] < 1


# Proofs


def test_channels_vote():
    actions = np.zeros((7, 6), int)
    actions[:, 0] = [1, 1, 2, 2, 0, 0, 2]  # two of four steps each: the earlier choice wins; then 0, 0, 2
    actions[:, 1] = [2, 0, 2, 2, 0, 1, 1]
    actions[:, 5] = [1, 0, 0, 0, 0, 1, 1]
    voted = voted_decisions(actions, 2, 8)
    np.testing.assert_array_equal(voted, [[1, 2, 0, 0, 0, 0], [0, 1, 0, 0, 0, 1]])
    np.testing.assert_array_equal(voted_decisions(actions, 2, 2), actions)
    np.testing.assert_array_equal(voted_decisions(actions[:2], 4, 2), actions[:2].repeat(2, axis=0))


@pytest.fixture(scope="module")
def proven(tmp_path_factory):
    """A folder with one level and a proof of one held action, another level with a proof that fails, and a third one."""
    folder, env = tmp_path_factory.mktemp("proven"), decision_env(config("none", decision_frames=8))
    levels = sample_levels(jax.random.key(8), 64, size="s")
    held = jnp.array([0, 0, 0, 0, 0, 0]), jnp.array([1, 1, 1, 1, 1, 1]), jnp.array([2, 2, 2, 2, 0, 0])
    steps = [_decisions_to_goal(env, levels, jnp.broadcast_to(a, (64, env.max_steps, 6))) for a in held]
    idle, forward, backward = map(np.asarray, steps)
    solved = int(np.flatnonzero((idle == 0) & (forward > 0) & (backward == 0))[0])
    failing = int(np.flatnonzero((idle == 0) & (forward == 0))[0])
    count = 4 * int(forward[solved])
    for name, row, length in (("good", solved, count), ("bad", failing, 8), ("unproven", (failing + 1) % 64, 0)):
        save_level(levels[row], folder / "levels" / f"{name}.json")
        if length:
            proof = Proof(hash_text(levels[row]), length, np.ones((length, 6), np.int32))
            save_proof(proof, folder / "proofs" / f"{name}.json")
    return folder


def test_proofs_are_kept_where_they_hold(proven, tmp_path):
    student = config("none", teacher=str(proven), decision_frames=8)
    found = find_teacher(student)
    assert len(found.source) == 2 and len(found.levels.names) == 1 and "1 of 2" in found.note
    assert (found.decisions[0, : found.lengths[0]] == 1).all()
    assert is_proof(proven / "proofs" / "good.json") and not is_proof(proven / "levels" / "good.json")
    found.keep(tmp_path / "kept")
    again = find_proofs(str(tmp_path / "kept"), student)
    assert again == found and hash(again) == hash(found) and again.digest == found.digest


def test_a_proof_is_cloned_until_the_level_is_solved(proven, tmp_path):
    run = train(config(tmp_path / "run", teacher=str(proven), decision_frames=8, updates=12, learning_rate=1e-2))
    level = jax.tree.map(jnp.asarray, find_teacher(run.config).levels.levels)
    score = lambda policy: evaluate(policy, level, env=run.env, key=jax.random.key(0), attempts=1, greedy=True).solved
    assert score(run.policy).all() and not score(run.initial_policy()).all()
    first, last = run.metrics[0], run.metrics[-1]
    assert last["loss/imitation"] < 0.1 * first["loss/imitation"] and last["loss/agreement"] > 0.95
    assert last["solve_rate"] is None  # the student itself has not acted
    assert find_proofs(str(run.path / TEACHER), run.config).digest == run.config.teacher_hash


# Refusals


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"imitation_steps": 8}, "name a teacher"),
        ({"imitation_steps": 2**20, "teacher": "x"}, "as many steps at least"),
        ({"teacher": "x", "teacher_share": 1.5}, "between 0 and 1"),
        ({"teacher": "x", "curriculum": "plr"}, "teacher_share=0"),
    ],
)
def test_settings_that_make_no_sense(changes, problem):
    with pytest.raises(ValueError, match=problem):
        validate(preset("tiny", **changes))


def test_teachers_that_do_not_fit(teacher, proven, tmp_path):
    cases = {
        "actions=multi_discrete": {"teacher": str(teacher), "actions": "discrete"},
        "decision_frames=4, or a multiple": {"teacher": str(teacher), "decision_frames": 6, "max_steps": 30},
        "unknown agent": {"teacher": "agent:nobody"},
        "no such run, agent or folder": {"teacher": str(tmp_path / "nothing")},
        "holds neither a run nor proofs": {"teacher": str(proven / "levels")},
        "put the levels there too": {"teacher": str(proven / "proofs")},
        "use actions=multi_discrete": {"teacher": str(proven), "actions": "continuous"},
        "leave levels, generator and curriculum out": {"teacher": str(proven), "levels": str(proven / "levels")},
        "has two": {"teacher": str(teacher), "curriculum": "student-regret", "teacher_share": 0.0},
    }
    for problem, changes in cases.items():
        out = tmp_path / "run"
        with pytest.raises(ValueError, match=problem):
            train(config(out, **changes))
        assert not out.exists(), problem


def test_proofs_of_held_out_levels_are_refused(tmp_path):
    for kind in ("levels", "proofs"):
        found = importlib.resources.files("kinetix_ued.benchmarks.holdout").joinpath(kind, "s", "batter.json")
        target = tmp_path / "teacher" / kind / "renamed.json"
        target.parent.mkdir(parents=True)
        target.write_bytes(found.read_bytes())
    with pytest.raises(ValueError, match="held out for evaluation: .* is holdout/s/batter"):
        train(config(tmp_path / "run", teacher=str(tmp_path / "teacher"), max_steps=256))
