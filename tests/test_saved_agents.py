"""Agents in single files: what is written is what is read, plays and is trained on, and damage is told in one line."""

import json

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from kinetix_ued.agents import Agent, bundled, load, read_card, save
from kinetix_ued.benchmarks import evaluate
from kinetix_ued.cli import main
from kinetix_ued.environment import make
from kinetix_ued.generators import sample_levels
from kinetix_ued.training import Run, preset, save_agent, train

from test_from_kinetix import checkpoint


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    return train(
        preset(
            "tiny", observation="scene", network="actuator", network_width=8, decision_frames=4, out=str(folder),
            normalise_observations=False, steps=8 * 16 * 2 * 2, progress=False,
        )
    )


@pytest.fixture
def file(run, tmp_path):
    save_agent(tmp_path / "agent.safetensors", run, name="beginner", about="An agent of one update.")
    return tmp_path / "agent.safetensors"


def test_a_saved_agent_is_the_agent_of_its_run(run, file):
    agent = load(file)
    assert isinstance(agent, Agent) and agent.env == run.env and agent.network == run.policy.network
    jax.tree.map(np.testing.assert_array_equal, agent.params, run.policy.params)
    assert jax.tree.structure(agent.params) == jax.tree.structure(run.policy.params)
    assert agent.card["name"] == "beginner" and agent.card["training"]["updates"] == run.updates
    assert file.stat().st_mode == (run.path / "config.json").stat().st_mode  # others may read it too
    levels = sample_levels(jax.random.key(0), 8, size="s")
    played = [evaluate(one, levels, key=jax.random.key(1), attempts=2) for one in (agent, run)]
    np.testing.assert_array_equal(played[0].returns, played[1].returns)
    larger = evaluate(agent, sample_levels(jax.random.key(0), 4, size="m"), key=jax.random.key(1), attempts=1)
    assert larger.env.size.name == "m"  # its network reads any size


def test_a_run_starts_from_a_saved_agent(run, file, tmp_path):
    config = preset("tiny", **{**run.config.to_dict(), "init_from": str(file), "out": str(tmp_path / "next")})
    begun = train(config)
    jax.tree.map(np.testing.assert_array_equal, begun.initial_policy().params, run.policy.params)
    file.unlink()  # what it began with is noted in its own folder
    jax.tree.map(np.testing.assert_array_equal, Run.load(begun.path).initial_policy().params, run.policy.params)
    with pytest.raises(ValueError, match="the networks must be the same"):
        save_agent(file, run, name="beginner")
        train(preset("tiny", **{**config.to_dict(), "network_width": 16, "out": str(tmp_path / "wider")}))


def test_a_card_tells_what_training_cost_from_the_beginning_and_what_it_scored(run, tmp_path, capsys):
    began = tmp_path / "next"
    config = {**run.config.to_dict(), "init_from": str(run.path), "out": str(began)}
    later = train(preset("tiny", **config))
    scores, out = tmp_path / "scores.json", tmp_path / "later.safetensors"
    levels = ["--suite", "random-s:4", "random-m:2", "--attempts", "1", "--no-worst"]
    assert main(["eval", str(began), *levels, "--json", str(scores)]) == 0
    save = ["agents", "save", "--name", "later", "--out", str(out), "--scores", str(scores)]
    assert main([*save, str(run.path)]) == 2 and f"no scores of {run.path}" in capsys.readouterr().err
    assert main([*save, str(began)]) == 0
    training = read_card(out)["training"]
    assert training["updates"] == later.updates and training["began_as"]["steps"]["learning"] == run.counts["learning"]
    document = json.loads(scores.read_text())
    for suite in document["suites"]:
        told = training["scores"][suite["suite"]]
        assert told["solve_rate"] == suite["policies"][0]["mean"]["solve_rate"]
        assert (told["levels"], told["attempts"], told["hash"]) == (len(suite["levels"]), 1, suite["hash"])
    assert str(tmp_path) not in json.dumps(read_card(out))  # folders of one machine mean nothing on another


@pytest.mark.parametrize("name", bundled())
def test_agents_in_the_box_are_small_whole_and_told_in_full(name):
    agent, file = load(name), bundled()[name]
    assert file.stat().st_size < 2_000_000 and agent.card["name"] == name and agent.card["about"]
    training = agent.card["training"]
    assert training["steps"]["learning"] > 0 and training["seconds"] > 0
    assert {"kinetix", "holdout"} <= set(training["scores"])
    assert not any(part.startswith("/") for part in (training["source"], training["config"]["init_from"]))


def test_the_command_saves_shows_and_plays(run, tmp_path, capsys):
    out = tmp_path / "a.safetensors"
    assert main(["agents", "save", str(run.path), "--out", str(out), "--name", "a"]) == 0
    assert main(["agents", "save", str(run.path), "--out", str(out), "--name", "a"]) == 2
    assert main(["agents", "show", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["hash"] == read_card(out)["hash"]
    results = tmp_path / "scores.json"
    levels = ["--suite", "random-s:4", "--attempts", "1", "--no-worst"]
    assert main(["eval", f"mine={out}", *levels, "--json", str(results)]) == 0
    (policy,) = json.loads(results.read_text())["policies"]
    assert policy["name"] == "mine" and policy["runs"][0]["updates"] == run.updates
    assert main(["agents", "list"]) == 0


def test_agents_of_kinetix_are_imported(tmp_path, capsys):
    checkpoint(tmp_path / "theirs")
    out = tmp_path / "ours.safetensors"
    assert main(["agents", "import", str(tmp_path / "theirs"), "--out", str(out), "--name", "ours", "--size", "s"]) == 0
    agent = load(out)
    assert agent.env == make("s", observation="entity") and agent.network.network.encoder.width == 32
    assert main(["agents", "import", str(tmp_path), "--out", str(tmp_path / "x.safetensors"), "--name", "x"]) == 2
    assert "no config.json in it" in capsys.readouterr().err


def rewritten(file, change=lambda card: None, arrays=lambda arrays: None):
    with safe_open(file, "numpy") as opened:
        card = json.loads(opened.metadata()["card"])
    tensors = load_file(file)
    change(card)
    arrays(tensors)
    save_file(tensors, file, metadata={"card": json.dumps(card)})


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda f: f.write_bytes(f.read_bytes()[:-4]), "no file of an agent"),
        (lambda f: f.write_bytes(b"\0" * 100), "no file of an agent"),
        (lambda f: f.unlink(), "no file of an agent"),
        (lambda f: save_file(load_file(f), f), "no card"),
        (lambda f: save_file(load_file(f), f, metadata={"card": "[" * 10**5}), "no JSON"),
        (lambda f: save_file(load_file(f), f, metadata={"card": "[]"}), "this version reads"),
        (lambda f: rewritten(f, lambda card: card.update(schema="kinetix-ued-agent/2")), "this version reads"),
        (lambda f: rewritten(f, lambda card: card.pop("network")), "no network"),
        (lambda f: rewritten(f, lambda card: card["network"].update(network="x")), "unknown network"),
        (lambda f: rewritten(f, lambda card: card["environment"].update(size="xl")), "unknown size"),
        (lambda f: rewritten(f, lambda card: card["environment"].update(extra=1)), "describes no agent"),
        (lambda f: rewritten(f, lambda card: card["network"].update(width=16)), "of shape"),
        (lambda f: rewritten(f, arrays=lambda t: t["head/critic_out/bias"].fill(1)), "not those of its card"),
    ],
)
def test_damage_is_told_in_one_line(file, damage, problem):
    damage(file)
    with pytest.raises(ValueError, match=problem) as told:
        load(file)
    assert "\n" not in str(told.value)


def test_names_are_told_apart(run, tmp_path):
    with pytest.raises(ValueError, match="unknown agent 'nobody': use one of"):
        load("agent:nobody")
    with pytest.raises(ValueError, match="ends in .safetensors"):
        save(tmp_path / "a.npz", {}, name="a", about="", network={}, environment={}, training={})
