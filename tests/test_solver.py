"""The solver: what it finds solves the level, what it does not find is said, and the same seed finds the same."""

import argparse
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kinetix_ued.benchmarks.proof_checks import check_proof
from kinetix_ued.benchmarks.proofs import Proof, load_proof
from kinetix_ued.benchmarks.solver import SearchSettings, Solution, polish, solve_levels
from kinetix_ued.benchmarks.solver.cross_entropy import Beliefs, draw_sequences, open_chances
from kinetix_ued.benchmarks.solver.explore import empty_archive, explore
from kinetix_ued.benchmarks.solver.mending import mend, trial
from kinetix_ued.benchmarks.solver.rollout import play
from kinetix_ued.commands import solve
from kinetix_ued.environment import make, replay
from kinetix_ued.generators import sample_levels
from kinetix_ued.levels import builder, hash_text, save_level
from kinetix_ued.world import driven_channels, empty_level

QUICK = SearchSettings(population=128, seconds=600.0, generations=16, width=2)
ENV = make("s", observation="blind", actions="multi_discrete", engine="warp")


def flight():
    """A ball with a thruster must come over a red wall."""
    level, ball = builder.add_circle(empty_level("s"), (1.0, 0.8), 0.25, role="green")
    level, _ = builder.add_circle(level, (3.9, 3.5), 0.3, role="blue", fixed=True)
    level, _ = builder.add_rectangle(level, (2.5, 1.2), 0.3, 1.6, fixed=True, role="red")
    level, _ = builder.add_thruster(level, ball, (1.0, 0.6), np.pi * 0.4, 1.2)
    return level


def cart():
    """A cart on a driven wheel and a skid must push its green front to a blue ball."""
    level, base = builder.add_rectangle(empty_level("s"), (1.2, 0.62), 1.0, 0.2, role="green")
    level, wheel = builder.add_circle(level, (0.9, 0.6), 0.2)
    level, _ = builder.add_joint(level, base, wheel, (0.9, 0.6), binding=2)
    level, _ = builder.add_circle(level, (4.0, 0.65), 0.25, role="blue", fixed=True)
    return builder.set_material(level, base, friction=0.1)


def unicycle():
    """A wheel must carry a body that falls over, and must not touch the floor, to a blue ball."""
    level, body = builder.add_rectangle(empty_level("s"), (1.0, 1.1), 0.15, 0.9, role="green")
    level, wheel = builder.add_circle(level, (1.0, 0.65), 0.25)
    level, _ = builder.add_joint(level, wheel, body, (1.0, 0.65), power=2.0)
    level, _ = builder.add_circle(level, (2.3, 1.2), 0.25, role="blue", fixed=True)
    return builder.set_role(level, 0, "red")


def impossible():
    """A blue ball in the air and a green one that can only jerk sideways."""
    level, ball = builder.add_rectangle(empty_level("s"), (1.0, 0.65), 0.5, 0.5, role="green")
    level, _ = builder.add_circle(level, (3.9, 4.5), 0.3, role="blue", fixed=True)
    level, _ = builder.add_thruster(level, ball, (1.0, 0.5), 0.0, 0.2)
    return level


def stack(*levels):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *levels)


@pytest.fixture(scope="module")
def solutions():
    levels = stack(flight(), cart(), unicycle(), impossible())
    told = []
    found = solve_levels(
        levels,
        env=ENV,
        key=jax.random.key(0),
        settings=QUICK,
        progress=lambda i, solution, over: told.append((i, over)),
    )
    return levels, found, told


def test_hand_built_levels_are_solved_and_an_impossible_one_is_not(solutions):
    levels, found, told = solutions
    assert [solution.solved for solution in found] == [True, True, True, False]
    for i, solution in enumerate(found[:3]):
        assert 1 <= solution.steps <= len(solution.actions) <= 256 and solution.method in (
            "cross-entropy",
            "exploration",
        )
        track = replay(levels[i], solution.actions, engine="warp")
        assert int(np.argmax(track["goal"])) + 1 == solution.steps and track["goal"].any()
        assert not solution.actions[:, ~np.asarray(driven_channels(levels[i]))].any()
        check = check_proof(levels[i], Proof(hash_text(levels[i]), solution.steps, solution.actions), engine="warp")
        assert check.solved and check.robust >= 10 * solution.robust_share - 4
    assert found[1].robust and found[1].robust_share > 0.9
    failed = found[3]
    assert failed.steps == 0 and failed.actions.shape == (0, 6) and not failed.robust and failed.method == ""
    assert failed.generations == QUICK.generations and 1 < failed.nearest < 5
    assert [told.count((i, True)) for i in range(4)] == [1] * 4 and told.count((3, False)) == QUICK.generations - 1


def test_a_level_is_searched_alike_alone_and_in_company(solutions):
    levels, found, _ = solutions
    one = jax.tree.map(lambda x: x[:1], levels)
    alone = solve_levels(
        jax.tree.map(lambda x: np.concatenate([x, x, x]), one), env=ENV, key=jax.random.key(0), settings=QUICK
    )[0]
    np.testing.assert_array_equal(alone.actions, found[0].actions)
    assert (alone.steps, alone.generations, alone.robust_share) == (
        found[0].steps, found[0].generations, found[0].robust_share,
    )  # fmt: skip


def test_a_level_that_nothing_drives_is_played_once():
    """A green box that nobody can move: in one room it drifts to the blue ball, slowly, in the other it lies still."""
    level = builder.set_gravity(empty_level("s"), 0.0)
    level, _ = builder.add_circle(level, (4.0, 2.0), 0.3, role="blue", fixed=True)
    drifting, _ = builder.add_rectangle(level, (1.0, 2.0), 0.4, 0.4, role="green", velocity=(0.4, 0.0))
    lying, _ = builder.add_rectangle(level, (1.0, 2.0), 0.4, 0.4, role="green")
    settings = dataclasses.replace(QUICK, robust=False)
    found = solve_levels(stack(drifting, lying), env=ENV, key=jax.random.key(0), settings=settings)
    assert [solution.generations for solution in found] == [1, 1]
    assert found[0].solved and found[0].steps > 128 and not found[0].actions.any() and not found[1].solved


def test_a_batch_of_sequences_ends_as_the_environment_says():
    levels = jax.device_get(sample_levels(jax.random.key(5), 12, "s"))
    segments = jax.random.randint(jax.random.key(1), (12, 64, 6), 0, jnp.array(ENV.actions.heads)).astype(jnp.int8)
    hold = jnp.array([1, 2, 3, 4] * 3)
    horizon = jnp.array([256] * 8 + [40] * 4)
    outcome = jax.device_get(jax.jit(play, static_argnums=0)(ENV, levels, segments, hold, horizon))
    seen = {"goal": 0, "failure": 0}
    for i in range(12):
        actions = np.repeat(np.asarray(segments[i], np.int32), hold[i], axis=0)
        actions = np.concatenate([actions, np.zeros((256, 6), np.int32)])[:256]
        track = replay(levels[i], actions, engine="warp")
        last = min(int(np.argmax(track["done"])), int(horizon[i]) - 1)
        assert outcome.steps[i] == last + 1
        assert outcome.goal[i] == track["goal"][last]
        lost = track["done"][last] and not track["goal"][last] and last < 255
        assert outcome.failure[i] == lost
        np.testing.assert_allclose(outcome.nearest[i], track["distance"][: last + 1].min(), rtol=1e-5)
        np.testing.assert_allclose(outcome.mean_distance[i], track["distance"][: last + 1].mean(), rtol=1e-4)
        seen["goal"] += int(outcome.goal[i])
        seen["failure"] += int(outcome.failure[i])
    assert min(seen.values()) > 0


def test_sequences_press_what_is_driven_and_hold_it():
    level = flight()
    chances = open_chances(level)
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(chances[4], [0.5, 0.5, 0])
    np.testing.assert_array_equal(chances[[0, 1, 2, 3, 5], 0], 1)
    best = jnp.zeros((64, 6), jnp.int8).at[:, 4].set(1)
    beliefs = Beliefs(jnp.broadcast_to(chances, (64, 6, 3)), best, jnp.float32(0))
    drawn = np.asarray(draw_sequences(jax.random.key(0), beliefs, jnp.float32(0.0), 400))
    np.testing.assert_array_equal(drawn[0], best)
    assert not drawn[..., [0, 1, 2, 3, 5]].any() and abs(drawn[1:, :, 4].mean() - 0.5) < 0.05
    changes = (np.diff(drawn[1:, :, 4], axis=1) != 0).mean(axis=1)
    assert changes.min() < 0.1 and changes.max() > 0.5  # some hold for long, some change often
    tilted = np.asarray(draw_sequences(jax.random.key(0), beliefs, jnp.float32(1.5), 400))
    assert tilted[1:, :, 4].mean(axis=1).std() > 1.2 * drawn[1:, :, 4].mean(axis=1).std()


def test_exploration_restores_states_exactly():
    """The recorded way to every state of the archive leads there."""
    levels, empty = stack(impossible(), impossible()), jax.device_get(empty_archive(impossible()))
    keys = jax.random.split(jax.random.key(2), 2)
    archive = explore(ENV, keys, levels, stack(empty, empty), np.int32(4), np.float32(0.25), iterations=16)
    archive = jax.tree.map(lambda x: np.asarray(x[0]), archive)
    there = np.flatnonzero(np.isfinite(archive.worth))
    assert len(there) > 20 and archive.picks.sum() > 0 and not archive.solved
    longest = there[np.argsort(archive.length[there])[-3:]]
    assert archive.length[longest].min() > 8  # farther than one pick reaches
    for place in longest:
        actions = np.repeat(archive.sequence[place, : archive.length[place]].astype(np.int32), 4, axis=0)
        track = replay(levels[0], actions, engine="warp")
        np.testing.assert_array_equal(track["position"][-1], archive.world.position[place])
        np.testing.assert_allclose(track["distance"][-1], archive.distance[place], rtol=1e-6)
        assert not track["done"].any()


def test_mending_makes_a_solution_robust():
    """A sequence that pushes just long enough for the undisturbed start solves few of the others until it is mended."""
    level = jax.device_get(builder.set_gravity(flight(), 0.0))
    level = level.replace(role=np.where(level.role == 3, 0, level.role), active=level.active & (level.role != 3))
    level = level.replace(thruster_position=0 * level.thruster_position)  # through the centre: it flies straight
    level = level.replace(position=level.position.copy())
    level.position[level.role == 2] = level.position[level.role == 1] + [
        1.5 * np.cos(0.4 * np.pi),
        1.5 * np.sin(0.4 * np.pi),
    ]
    bare = lambda pushes: np.concatenate(
        [np.tile([[0, 0, 0, 0, 1, 0]], (pushes, 1)), np.zeros((256 - pushes, 6))]
    ).astype(np.int8)
    far = 0.5  # this room is wide, and so are its disturbances
    before = trial(ENV, jax.random.key(1), level, bare(1), far)
    assert before.goal[0] and len(before.goal) == 481
    sequence, key = bare(1), jax.random.key(3)
    for i in range(6):
        sequence, _ = mend(ENV, jax.random.fold_in(key, i), level, sequence, 30, far)
    after = trial(ENV, jax.random.key(1), level, sequence, far)
    worth = lambda outcome: outcome.goal.mean() - outcome.steps.mean() / 512
    assert after.goal[0] and worth(after) > worth(before) + 0.02
    assert not sequence[:, [0, 1, 2, 3, 5]].any() and set(np.unique(sequence)) == {0, 1}


def test_what_the_search_leaves_unsolved_is_learned():
    """One update of PPO on a level that random actions solve now and then: an episode of the policy is the solution."""
    level = flight()
    solution = polish(level, env=ENV, seed=0, steps=16_384, settings=QUICK)
    assert solution.solved and solution.method == "ppo" and solution.seconds > 0
    track = replay(level, solution.actions, engine="warp")
    assert int(np.argmax(track["goal"])) + 1 == solution.steps and track["goal"].any()
    room = empty_level("8p2c4j2t")
    with pytest.raises(ValueError, match="training takes sizes s, m, l"):
        polish(room, env=make(room.size, observation="blind"), seed=0, steps=1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generations": 0}, "generations must be at least 1"),
        ({"seconds": 0.0}, "seconds must be a finite number above 0"),
        ({"seconds": float("nan")}, "seconds must be a finite number above 0"),
        ({"population": 32}, "need a population of at least 64"),
        ({"trials": 1}, "trials must be at least 2"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(QUICK, **changes)


def test_what_cannot_be_searched_is_refused():
    levels = stack(flight())
    search = lambda env, levels: solve_levels(levels, env=env, key=jax.random.key(0), settings=QUICK)
    with pytest.raises(ValueError, match="actions='multi_discrete'"):
        search(make("s", observation="blind", actions="discrete"), levels)
    with pytest.raises(ValueError, match="make it with size='s'"):
        search(make("m", observation="blind"), levels)
    with pytest.raises(ValueError, match="batch of at least one level"):
        search(ENV, flight())


def command(*words):
    parser = argparse.ArgumentParser()
    solve.add_arguments(parser)
    return solve.run(parser.parse_args([str(word) for word in words]))


def test_the_command_records_reports_and_replaces_nothing_unasked(tmp_path, capsys):
    save_level(cart(), tmp_path / "levels" / "cart.json")
    save_level(impossible(), tmp_path / "levels" / "impossible.json")
    out, file = tmp_path / "proofs", tmp_path / "report.json"
    words = [tmp_path / "levels", "--generations", 8, "--seconds", 600, "--population", 128, "--width", 2]
    words += ["--engine", "warp", "--out", out, "--json", file]
    assert command(*words) == 0
    told = capsys.readouterr().out.splitlines()
    assert any(line.startswith("cart: solved in ") for line in told)
    assert any(line.startswith("impossible: not solved within the budget (8 generations") for line in told)
    assert told[-1].startswith("1 of 2 levels solved: 50.0% (95 % interval 9.5% to 90.5%)")
    assert [path.name for path in out.iterdir()] == ["cart.json"]
    proof = load_proof(out / "cart.json")
    assert check_proof(cart(), proof, engine="warp").solved
    report = json.loads(file.read_text())
    assert report["schema"] == "kinetix-ued/solve" and report["levels_solved"] == 1 and report["levels_total"] == 2
    assert report["share"]["estimate"] == 0.5 and report["settings"]["population"] == 128
    rows = {row["level"]: row for row in report["levels"]}
    assert rows["cart"]["steps"] == proof.steps and rows["impossible"]["proof"] is None
    file.unlink()
    before = (out / "cart.json").read_bytes()
    with pytest.raises(ValueError, match="cart.json exists already"):
        command(*words)
    assert (out / "cart.json").read_bytes() == before and not file.exists()


def test_an_interrupted_search_keeps_what_it_found(tmp_path, capsys, monkeypatch):
    def search(levels, *, progress, **_):
        progress(1, Solution(solved=True, steps=3, actions=np.zeros((3, 6), np.int32), method="cross-entropy"), True)
        raise KeyboardInterrupt

    monkeypatch.setattr("kinetix_ued.benchmarks.solver.solve_levels", search)
    names = ("first", "second")
    for name in names:
        save_level(cart(), tmp_path / "levels" / f"{name}.json")
    with pytest.raises(KeyboardInterrupt):
        command(tmp_path / "levels", "--out", tmp_path / "proofs", "--json", tmp_path / "report.json")
    assert load_proof(tmp_path / "proofs" / "second.json").steps == 3
    report = json.loads((tmp_path / "report.json").read_text())
    assert [row["level"] for row in report["levels"]] == ["second"] and report["levels_asked"] == 2
    assert report["share"] is None, "levels that are solved soon are over first: no share of all can be told"
    assert "interrupted: 1 of the 1 levels searched to the end were solved" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name level files or folders, or a --generator"),
        (["level.json", "--generator", "random"], "one of the two"),
        (["level.json", "--count", "3"], "--count belongs to generated levels"),
        (["level.json", "--filter", "noop_solves"], "--filter belongs to generated levels"),
        (["--generator", "unheard_of"], "unknown generator"),
        (["level.json", "--population", "8"], "need a population"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(words, message):
    with pytest.raises(ValueError, match=message):
        command(*words)


def test_the_command_tells_the_solvable_share_of_a_generator(tmp_path, capsys):
    file = tmp_path / "share.json"
    words = ["--generator", "random", "--count", 6, "--seed", 1, "--generations", 1, "--population", 128, "--width", 2]
    command(*words, "--engine", "warp", "--json", file)
    report = json.loads(file.read_text())
    assert report["generator"] == "random" and report["size"] == "s" and not report["settings"]["robust"]
    assert report["levels_total"] == 6 and 1 <= report["levels_solved"] <= 6
    assert (
        report["share"]["low"] < report["levels_solved"] / 6 < report["share"]["high"] or report["levels_solved"] == 6
    )
    assert f"{report['levels_solved']} of 6 levels solved" in capsys.readouterr().out
