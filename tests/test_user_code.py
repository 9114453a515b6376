"""Files of a user's own: mistakes in them, told in one line with file and line, and runs that remember them."""

import dataclasses
import shutil
import sys

import pytest

from kinetix_ued.cli import main
from kinetix_ued.training import Run, loop, method_preset, preset, resume, train, validate
from kinetix_ued.training.build import build_curriculum, build_sampler
from kinetix_ued.training.own_curriculum import check_curriculum, try_curriculum
from kinetix_ued.user_code import code_files, load_function


def refused(capsys, *arguments) -> str:
    """What a mistake says: exit status 2 and one line, the last of stderr."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert "Traceback" not in err and [line for line in lines if "error:" in line] == lines[-1:]
    return lines[-1].removeprefix("kinetix-ued: error: ")


def marked(source: str) -> int:
    """Number of the line that the message should name."""
    (found,) = (n for n, line in enumerate(source.splitlines(), 1) if line.endswith("# here"))
    return found


GENERATORS = {
    "one argument": (
        "def f(key):  # here\n    return None",
        "a generator is called with (key, size), but f(key) cannot be",
    ),
    "three arguments": (
        "def f(key, size, more):  # here\n    pass",
        "but f(key, size, more) cannot be: missing a required",
    ),
    "keywords alone": ("def f(*, key, size):  # here\n    pass", "but f(*, key, size) cannot be"),
    "nothing": (
        "def f(key, size):  # here\n    empty_level(size)",
        "a generator returns one Level; f returned nothing",
    ),
    "two levels": ("def f(key, size):  # here\n    return empty_level(size), 1", "one Level; f returned tuple"),
    "a batch": (
        "def f(key, size):  # here\n    return jax.tree.map(lambda x: x[None], empty_level(size))",
        "asked for one level of size 's' and returned a batch (1,)",
    ),
    "another size": ("def f(key, size):  # here\n    return empty_level('m')", "and returned size 'm'"),
    "a number in place of an array": (
        "def f(key, size):  # here\n    return empty_level(size).replace(friction=0.5)",
        "returned a level whose friction is float32[]: it must be float32[7]",
    ),
    "another type": (
        "def f(key, size):  # here\n    level = empty_level(size)\n    return level.replace(role=level.friction)",
        "returned a level whose role is float32[7]: it must be int32[7]",
    ),
    "no array": (
        "def f(key, size):  # here\n    return empty_level(size).replace(role=None)",
        "returned a level whose role is nothing",
    ),
    "a value error": ("def f(key, size):\n    raise ValueError('no room\\nfor it')  # here", "no room"),
    "a key error": ("def f(key, size):\n    return {}['green']  # here", "KeyError: 'green'"),
    "an error without words": ("def f(key, size):\n    assert False  # here", "AssertionError"),
    "an error of one's own": (
        "class Mine(BaseException): pass\nclass Own(Exception): pass\ndef f(key, size):\n    raise Own('mine')  # here",
        "Own: mine",
    ),
    "an error of this package": (
        "def f(key, size):\n    builder.require_slots(size, circles=99, what='a zoo')  # here",
        "a zoo",
    ),
    "if on an array": (
        "def f(key, size):\n    if jax.random.uniform(key) < 0.5:  # here\n        return empty_level(size)",
        "TracerBoolConversionError: Attempted boolean conversion of traced array",
    ),
    "sys.exit": ("def f(key, size):\n    sys.exit(3)  # here", "it calls sys.exit(3)"),
    "exit": ("def f(key, size):\n    sys.exit()  # here", "it calls sys.exit()"),
    "recursion": ("def f(key, size):\n    return f(key, size)  # here", "RecursionError"),
    "sys.exit at import": ("sys.exit('over')  # here", "the file cannot be run: it calls sys.exit('over')"),
    "an error at import": ("f = 1 / 0  # here", "the file cannot be run: ZeroDivisionError: division by zero"),
    "no Python": ("def f(key, size)  # here", "the file cannot be run: SyntaxError: expected ':'"),
}

HEAD = "import sys\nimport jax\nfrom kinetix_ued.levels import builder\nfrom kinetix_ued.world import empty_level\n\n"


@pytest.mark.parametrize("case", GENERATORS)
def test_mistakes_in_a_generator(case, tmp_path, capsys):
    body, words = GENERATORS[case]
    file = tmp_path / "own.py"
    file.write_text(HEAD + body, encoding="utf-8")
    line = refused(capsys, "levels", "sample", "--generator", f"{file}:f", "-n", 2, "--out", tmp_path / "levels")
    assert line.startswith(f"{file}:{marked(HEAD + body)}: ") and words in line, line
    assert len(line) < 400 and not (tmp_path / "levels").exists()


GOOD = """
import sys
import jax
import jax.numpy as jnp
from kinetix_ued.curricula import Curriculum, Plan

def make(sample, batch):
    def init(key):
        return {"count": jnp.int32(0)}

    def propose(key, state):
        plan = Plan(learn=jnp.array(True), restart=jnp.array(True), slots=jnp.full(batch, -1, jnp.int32))
        return sample(key, batch), plan

    def update(state, levels, rollout, plan):
        return {"count": state["count"] + 1}, {"count": state["count"], "return": rollout.reward.sum(axis=0).mean()}

    return Curriculum(init, propose, update)
"""

CURRICULA = {
    "one argument": (
        "def make(sample, batch):",
        "def make(sample):  # here",
        "is called with (sample, batch), but make(sample)",
    ),
    "no curriculum": (
        "def make(sample, batch):",
        "def make(sample, batch):  # here\n    return None",
        "must return a Curriculum",
    ),
    "a failing constructor": (
        "def make(sample, batch):",
        "def make(sample, batch):\n    1 / 0  # here",
        "ZeroDivisionError",
    ),
    "an exit": ("def make(sample, batch):", "def make(sample, batch):\n    sys.exit(0)  # here", "calls sys.exit(0)"),
    "init without key": (
        "def init(key):",
        "def init():  # here",
        "init of a curriculum is called with (key), but init() cannot be",
    ),
    "init returns text": ('return {"count": jnp.int32(0)}', 'return {"count": "none"}', "TypeError"),
    "init fails": (
        'return {"count": jnp.int32(0)}',
        'return {"count": jnp.int32(0)}["size"]  # here',
        "KeyError: 'size'",
    ),
    "propose without state": (
        "def propose(key, state):",
        "def propose(key):  # here",
        "propose of a curriculum is called with",
    ),
    "levels alone": (
        "def propose(key, state):",
        "def propose(key, state):  # here\n        return sample(key, batch)",
        "propose must return (levels, Plan), got a Level",
    ),
    "no plan": ("return sample(key, batch), plan", "return sample(key, batch), {}", "got a dict in place of the Plan"),
    "half of the levels": (
        "return sample(key, batch), plan",
        "return sample(key, batch // 2), plan",
        "must be bool[8, 7], got bool[4, 7]",
    ),
    "no levels": (
        "return sample(key, batch), plan",
        "return jnp.zeros(batch), plan",
        "must have the structure of those of sample(key, batch)",
    ),
    "one slot": (
        "jnp.full(batch, -1, jnp.int32)",
        "jnp.int32(-1)",
        "slots of the Plan that propose returns must be int32[8], got int32[]",
    ),
    "learn per level": (
        "learn=jnp.array(True)",
        "learn=jnp.ones(batch, bool)",
        "learn of the Plan that propose returns must be bool[]",
    ),
    "if on an array": (
        "def propose(key, state):",
        "def propose(key, state):\n        if state['count'] > 0: pass  # here",
        "TracerBoolConversionError",
    ),
    "an exit in propose": (
        "def propose(key, state):",
        "def propose(key, state):\n        sys.exit(4)  # here",
        "calls sys.exit(4)",
    ),
    "update of three": (
        "def update(state, levels, rollout, plan):",
        "def update(state, levels, rollout):  # here",
        "update(state, levels, rollout) cannot be",
    ),
    "state alone": (
        'return {"count": state["count"] + 1}, {',
        'return {"count": state["count"] + 1}\n        {',
        "update must return (state, metrics), got a dict",
    ),
    "another state": (
        '{"count": state["count"] + 1}, {',
        '{"count": state["count"] + 1.5}, {',
        "the state that update returns['count'] must be int32[], got float32[]",
    ),
    "a state of another form": (
        '{"count": state["count"] + 1}, {',
        'state["count"], {',
        "must have the structure of that of init",
    ),
    "metrics that are arrays": (".sum(axis=0).mean()}", "}", "metrics as a flat dict of scalars"),
    "metrics that are nested": (".sum(axis=0).mean()}", ".mean(), 'own': {}}", "metrics as a flat dict of scalars"),
    "what a rollout does not have": (
        "rollout.reward.sum(axis=0).mean()}",
        "rollout.rewards.sum()}  # here",
        "AttributeError: 'Rollout' object has no attribute 'rewards'",
    ),
    "an exit in update": (
        "def update(state, levels, rollout, plan):",
        "def update(state, levels, rollout, plan):\n        sys.exit()  # here",
        "calls sys.exit()",
    ),
}

TINY = dict(observation="symbolic_flat", network="flat_mlp", engine="jax", eval_levels=0, progress=False)

STILL = """
from kinetix_ued.world import empty_level

def still(key, size):
    return empty_level(size)
"""
"""A generator that is quick to compile."""


@pytest.mark.parametrize("case", CURRICULA)
def test_mistakes_in_a_curriculum(case, tmp_path, capsys):
    old, new, words = CURRICULA[case]
    assert GOOD.count(old) == 1
    source, file = GOOD.replace(old, new), tmp_path / "own.py"
    file.write_text(source, encoding="utf-8")
    tiny = ["--preset", "tiny", "--generator", "sparse", "--engine", "jax", "--no-progress", "--out", tmp_path / "run"]
    line = refused(capsys, "train", "--curriculum", f"{file}:make", *tiny)
    place, _, _ = line.removeprefix(f"{file}:").partition(":")
    assert line.startswith(f"{file}:") and words in line, line
    if "# here" in source:
        assert int(place) == marked(source)
    else:  # the function that returned it
        assert source.splitlines()[int(place) - 1].lstrip().startswith("def ")
    assert not (tmp_path / "run").exists()


def test_a_good_curriculum_passes_and_functions_are_looked_at_too(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(GOOD, encoding="utf-8")
    config = preset("tiny", curriculum=f"{file}:make", generator="sparse", **TINY)
    curriculum = build_curriculum(config, build_sampler(config)[0])
    check_curriculum(curriculum, config)
    with pytest.raises(ValueError, match=r"test_user_code.py:\d+: update of a curriculum is called with"):
        check_curriculum(curriculum._replace(update=lambda state: state), config)


def test_a_function_that_is_loaded_twice_is_one_function_until_its_file_changes(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("def f(key, size):\n    '''Mine.'''\n    return 1\n", encoding="utf-8")
    first = load_function(f"{file}:f")
    assert (
        first is load_function(f"{file}:f") and first.__name__ == "f" and first.__doc__ == "Mine." and first(0, 0) == 1
    )
    file.write_text("def f(key, size):\n    '''Mine.'''\n    return 2\n", encoding="utf-8")  # of the same length
    assert load_function(f"{file}:f")(0, 0) == 2 and first(0, 0) == 1


def test_files_of_one_folder_find_their_own_neighbours(tmp_path):
    """Modules beside two files may have one name, that of a module of the program, and be imported late."""
    found = {}
    for name in ("a", "b"):
        folder = tmp_path / name
        (folder / "parts").mkdir(parents=True)
        (folder / "helper.py").write_text(f"from parts.deep import VALUE\nNAME = {name!r} + VALUE", encoding="utf-8")
        (folder / "parts" / "deep.py").write_text(f"VALUE = {name.upper()!r}", encoding="utf-8")
        own = "import helper\nimport json\ndef f():\n    from helper import NAME\n    return NAME + helper.NAME\n"
        (folder / "own.py").write_text(own, encoding="utf-8")
        found[name] = load_function(f"{folder / 'own.py'}:f")
        assert [part.name for part in code_files(folder / "own.py")] == ["own.py", "helper.py", "deep.py"]
    assert found["a"]() == "aAaA" and found["b"]() == "bBbB" and "helper" not in sys.modules
    (tmp_path / "a" / "parts" / "deep.py").write_text("VALUE = 'Z'", encoding="utf-8")
    assert load_function(f"{tmp_path / 'a' / 'own.py'}:f")() == "aZaZ"


# Runs


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run of two updates whose curriculum was named by a relative path, stopped after the first; with its folder."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own.py").write_text("from helper import NOTHING\n" + GOOD + STILL, encoding="utf-8")
    (folder / "helper.py").write_text("NOTHING = 0\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = preset(
            "tiny", curriculum="own.py:make", generator="own.py:still", allow_holdout=True, out="run", **TINY
        )
        config = dataclasses.replace(config, steps=2 * config.update_steps)
        stop = lambda run, metrics: setattr(run, "stopped", "for now")
        run = train(config, callbacks=[stop])
    assert run.updates == 1
    return folder


@pytest.fixture
def own_run(begun, tmp_path, monkeypatch):
    """A copy of that run and its files; the current folder is another, with another file of the same name."""
    shutil.copytree(begun, tmp_path / "own")
    config = tmp_path / "own" / "run" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace(str(begun), str(tmp_path / "own")), encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "own.py").write_text("raise SystemExit('the wrong file')", encoding="utf-8")
    monkeypatch.chdir(elsewhere)
    return tmp_path / "own"


def test_a_run_finds_its_file_from_anywhere_and_says_what_runs(own_run, capsys):
    assert main(["train", "--resume", str(own_run / "run")]) == 0
    assert f"running {own_run / 'own.py'} (curriculum)" in capsys.readouterr().err
    run = Run.load(own_run / "run")
    assert run.updates == 2 and run.config.curriculum == f"{own_run / 'own.py'}:make"
    (kept,) = (own_run / "run" / "code").iterdir()
    assert run.config.curriculum_code.startswith(kept.name) and len(run.config.curriculum_code) == 64
    assert {file.name: file.read_bytes() for file in kept.iterdir()} == {
        name: (own_run / name).read_bytes() for name in ("own.py", "helper.py")
    }


@pytest.mark.parametrize("changed", ["own.py", "helper.py"])
def test_a_file_that_has_changed_is_refused_before_it_runs_unless_that_is_accepted(own_run, changed, capsys):
    file, ran = own_run / changed, own_run / "ran"
    file.write_text(f"open({str(ran)!r}, 'w').close()\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    line = refused(capsys, "train", "--resume", own_run / "run")
    assert f"{own_run / 'own.py'} has changed since this run began" in line and "--accept-changed-code" in line
    assert not ran.exists() and Run.load(own_run / "run").updates == 1
    assert main(["train", "--resume", str(own_run / "run"), "--accept-changed-code"]) == 0
    assert ran.exists() and Run.load(own_run / "run").updates == 2
    assert len(list((own_run / "run" / "code").iterdir())) == 2, "what ran before is kept too"
    config = Run.load(own_run / "run").config
    assert not config.accept_changed_code, "it was accepted once"
    with pytest.raises(ValueError, match="has changed since this run began"):
        file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        resume(own_run / "run")


def test_a_file_that_has_moved_is_named_again(own_run, capsys):
    moved, run = own_run / "moved", str(own_run / "run")
    moved.mkdir()
    for name in ("own.py", "helper.py"):
        (own_run / name).rename(moved / name)
    line = refused(capsys, "train", "--resume", run)
    assert "own.py is not there" in line and "say where to: --curriculum" in line
    new = {
        name: f"{moved / 'own.py'}:{function}" for name, function in (("curriculum", "make"), ("generator", "still"))
    }
    line = refused(capsys, "train", "--resume", run, "--curriculum", new["curriculum"])
    assert "own.py is not there" in line and "say where to: --generator" in line
    assert main(["train", "--resume", run, "--curriculum", new["curriculum"], "--generator", new["generator"]]) == 0
    assert Run.load(run).config.curriculum == new["curriculum"] and Run.load(run).updates == 2
    line = refused(capsys, "train", "--resume", run, "--curriculum", "plr")
    assert "curriculum is 'own.py:make' there, 'plr' here" in line


def test_an_evaluation_does_not_need_the_file(own_run, capsys):
    (own_run / "own.py").unlink()
    levels = own_run / "levels"
    assert main(["levels", "sample", "--generator", "sparse", "-n", "2", "--out", str(levels)]) == 0
    assert main(["eval", str(own_run / "run"), "--levels", str(levels), "--attempts", "1"]) == 0, (
        capsys.readouterr().err
    )


# What a curriculum needs


@pytest.mark.parametrize("family", ["quick", "kinetix-s", "tiny"])
@pytest.mark.parametrize("name", ["dr", "plr", "robust-plr", "accel", "sfl", "ncc", "paired"])
def test_naming_a_curriculum_is_as_good_as_naming_its_preset(family, name):
    named = preset(family, curriculum=name)
    whole = method_preset(family, name)
    assert dataclasses.replace(named, preset="") == dataclasses.replace(whole, preset="")
    validate(named)
    back = preset(whole.preset, curriculum="dr")
    assert dataclasses.replace(back, preset="") == dataclasses.replace(preset(family), preset="")


def test_what_the_user_sets_is_not_touched():
    assert preset("quick", curriculum="accel", max_steps=1000).outer_steps == 8
    assert preset("quick", curriculum="sfl", options="kept_levels=8").options == "kept_levels=8"
    assert preset("quick-sfl", seed=3).options == preset("quick-sfl").options != ""
    config = preset("quick", curriculum="accel", outer_steps=1)
    assert config.outer_steps == 1
    with pytest.raises(ValueError, match="shorter than an episode .* accel would never score .*use outer_steps=2"):
        validate(config)
    assert preset("quick", curriculum="own.py:f", outer_steps=3).outer_steps == 3
    assert preset("quick-accel", rollout_steps=0).rollout_steps == 0  # for validate to refuse


@pytest.mark.parametrize("name", ["accel", "sfl", "own"])
def test_the_command_and_the_library_give_a_curriculum_the_same(name, tmp_path, monkeypatch):
    name = f"{tmp_path}/own.py:make" if name == "own" else name
    (tmp_path / "own.py").write_text(GOOD, encoding="utf-8")
    asked = []

    def note(config, **options):
        asked.append(config)
        raise ValueError("noted")

    monkeypatch.setattr(loop, "train", note)
    assert main(["train", "--curriculum", name]) == 2
    assert asked == [preset("quick", curriculum=name)] and asked[0].outer_steps == 2


def test_a_curriculum_of_ones_own_that_restarts_needs_whole_episodes_as_any_other(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(GOOD + STILL, encoding="utf-8")
    own = {"curriculum": f"{file}:make", "generator": f"{file}:still", "allow_holdout": True}
    config = preset("tiny", outer_steps=1, **own, **TINY)
    validate(config)  # nobody has run the file yet
    with pytest.raises(ValueError, match="16 rollout steps x 1 outer steps are shorter .*use outer_steps=2"):
        train(dataclasses.replace(config, out=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()
    file.write_text((GOOD + STILL).replace("restart=jnp.array(True)", "restart=jnp.array(False)"), encoding="utf-8")
    try_curriculum(build_curriculum(config, build_sampler(config)[0]), config)


def test_a_buffer_of_ones_own_holds_a_proposal_as_any_other(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(GOOD.replace("make(sample, batch)", "make(sample, batch, *, capacity=9)"), encoding="utf-8")
    config = preset("tiny", curriculum=f"{file}:make", buffer_size=7, generator="sparse", **TINY)
    with pytest.raises(ValueError, match="buffer_size=7 cannot hold the levels of 8 environments"):
        build_curriculum(config, build_sampler(config)[0])
    larger = dataclasses.replace(config, buffer_size=8)
    assert build_curriculum(larger, build_sampler(larger)[0]).students == 1
