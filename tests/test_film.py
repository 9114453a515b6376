"""Films: what is shown is what an evaluation plays, and the files are what they say they are."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from PIL import Image

from kinetix_ued.benchmarks import NoopPolicy, RandomPolicy, Suite, evaluate
from kinetix_ued.benchmarks.filming import film_parts, shots
from kinetix_ued.benchmarks.methods import Method, parts_of, play_methods
from kinetix_ued.cli import main
from kinetix_ued.environment import make, replay
from kinetix_ued.levels import builder, save_level
from kinetix_ued.randomness import stream
from kinetix_ued.viewer import OUTCOMES, Episode, film, save_film, save_strip, strip
from kinetix_ued.viewer.film import BORDER, FAILURE, GOAL, NOT_FINITE, TIME_OUT, durations
from kinetix_ued.viewer.sheet import GAP, LINE, sheet
from kinetix_ued.world import empty_level

STEPS = 60
ENV = make("s", max_steps=STEPS)
PIXELS = 40


def falling(target: str, x: float = 2.5):
    """A green box with a thruster falls onto a disc of another role, or past it."""
    level, box = builder.add_rectangle(empty_level("s"), (2.5, 2.5), 0.5, 0.5, role="green")
    level = builder.add_thruster(level, box, (2.5, 2.4), 0.4, 0.3)[0]
    return builder.add_circle(level, (x, 1.0), 0.3, role=target, fixed=True)[0]


@pytest.fixture(scope="module")
def suite() -> Suite:
    """Three levels that end as they are called when nothing is done."""
    levels = [falling("blue"), falling("red"), falling("blue", x=4.4)]
    batch = jax.tree.map(lambda *leaves: np.stack(leaves), *levels)
    return Suite(batch, (GOAL, FAILURE, TIME_OUT), ("test",) * 3, "three levels")


@pytest.fixture(scope="module")
def episodes() -> list[Episode]:
    """A box that moves by 4 cm in each of 7 steps, and one in 3 steps."""
    level = builder.add_rectangle(empty_level("s"), (1.0, 3.0), 1.0, 1.0, role="green")[0]

    def episode(steps: int, outcome: str) -> Episode:
        moved = 0.04 * np.arange(1, steps + 1, dtype=np.float32)[:, None, None] * np.array([1, 0], np.float32)
        rotation = np.broadcast_to(np.asarray(level.rotation), (steps, *level.rotation.shape))
        return Episode(level, np.asarray(level.position) + moved, rotation, outcome, f"{outcome} of {steps}")

    return [episode(7, TIME_OUT), episode(3, GOAL)]


def corner(i: int) -> tuple[int, int]:
    """Row and column of the first pixel of picture ``i`` in the first row of a sheet."""
    return GAP + 1, GAP + 1 + i * (PIXELS + 2 + GAP)


def test_a_recording_is_the_trajectory_and_changes_no_number(suite):
    play = lambda policy, **options: evaluate(
        policy, suite.levels, env=ENV, key=jax.random.key(3), attempts=3, batch=4, **options
    )
    policy = RandomPolicy(ENV.actions)
    plain, recorded = play(policy), play(policy, record=2)
    for name in ("solved", "returns", "lengths", "nonfinite"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(recorded, name))
    assert plain.recording is None and recorded.recording.position.shape[:3] == (3, 2, STEPS)

    found = play(NoopPolicy(ENV.actions), record=3)
    np.testing.assert_array_equal(found.recording.failed, [[False] * 3, [True] * 3, [False] * 3])
    noop = np.broadcast_to(ENV.actions.noop(), (STEPS, *ENV.actions.shape))
    for i in range(3):
        track = replay(jax.tree.map(lambda x: x[i], suite.levels), noop, max_steps=STEPS)
        length = int(np.argmax(track["done"])) + 1
        for attempt in range(3):
            assert found.lengths[i, attempt] == length
            for name in ("position", "rotation"):
                poses = getattr(found.recording, name)[i, attempt]
                np.testing.assert_array_equal(poses[:length], track[name][:length])
                assert not poses[length:].any()


def test_recordings_that_cannot_be_are_refused(suite):
    play = lambda **options: evaluate(NoopPolicy(ENV.actions), suite.levels, env=ENV, key=jax.random.key(0), **options)
    with pytest.raises(ValueError, match="record must be from 0 to the 2"):
        play(attempts=2, record=3)
    with pytest.raises(ValueError, match="GB"):
        play(attempts=10**6, record=10**6)


def test_what_is_filmed_is_what_the_evaluation_plays(suite):
    method = Method("random", ("random",))
    parts = film_parts(method, suite, ENV)
    options = {"seed": 5, "tries": 4}
    found = shots(method, suite, parts, attempts=2, **options)
    failed = shots(method, suite, parts, attempts=4, failures=True, **options)
    played = play_methods(suite, parts_of(suite, [method], ENV), key=stream(5, "EVAL"), attempts=4)
    (evaluation,) = played.evaluations["random"]
    assert [(shot.level, shot.attempt) for shot in found] == [(name, n) for name in suite.names for n in (1, 2)]
    for shot in (*found, *failed):
        place = suite.names.index(shot.level), shot.attempt - 1
        assert (shot.episode.outcome == GOAL) == evaluation.solved[place]
        assert shot.episode.steps == evaluation.lengths[place]
        assert shot.episode.name == f"{shot.level}, attempt {shot.attempt}"
    places = [(suite.names.index(shot.level), shot.attempt - 1) for shot in failed]
    assert places == list(zip(*np.nonzero(~evaluation.solved))) and 0 < len(places) < 12
    assert len(np.unique(evaluation.lengths[0])) > 1, "attempts differ, so that mixing them up would show"


def test_outcomes_are_told_apart(suite):
    method = Method("noop", ("noop",))
    found = shots(method, suite, film_parts(method, suite, ENV))
    assert [shot.episode.outcome for shot in found] == [GOAL, FAILURE, TIME_OUT] == list(suite.names)
    assert found[2].episode.steps == STEPS
    with pytest.raises(ValueError, match="from 1 to the 2"):
        shots(method, suite, film_parts(method, suite, ENV), attempts=3, tries=2)
    run = SimpleNamespace(env=ENV, policy=NoopPolicy(ENV.actions))
    with pytest.raises(ValueError, match="two stands for 2 runs"):
        film_parts(Method("two", ("a", "b"), (run, run)), suite, ENV)


@pytest.mark.parametrize("kind", ("gif", "png"))
def test_a_film_has_every_picture_and_ends_with_the_outcomes(kind, episodes, tmp_path):
    path, told = tmp_path / "new" / f"film.{kind}", []
    save_film(path, episodes, pixels=PIXELS, columns=2, every=2, progress=lambda *seen: told.append(seen))
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert told == [(n, 5) for n in range(1, 6)], "0, 2, 4, 6 and 7 steps"
    expected = [np.asarray(image).astype(int) for image in film(episodes, pixels=PIXELS, columns=2, every=2)]
    first, second = corner(0), corner(1)
    with Image.open(path) as image:
        assert image.format == kind.upper() and image.n_frames == len(expected) == 5 and image.info["loop"] == 0
        shown, seconds = [], 0.0
        for n in range(5):
            image.seek(n)
            seconds += image.info["duration"] / 1000
            shown.append(np.asarray(image.convert("RGB")).astype(int))
    assert seconds == pytest.approx(4 * 4 / 60 + 2.0, abs=0.006)
    for picture, original in zip(shown, expected):
        assert picture.shape == original.shape
        assert np.abs(picture - original).max() <= (40 if kind == "gif" else 0)
        inside = np.s_[first[0] : first[0] + PIXELS, first[1] : first[1] + PIXELS]
        pure = (original[inside] == (0, 204, 0)).all(axis=-1)
        assert pure.any() and (picture[inside][pure] == (0, 204, 0)).all()
    edge = lambda picture, place: tuple(picture[place[0] - 1, place[1] + 5])
    assert [edge(picture, first) for picture in expected] == [LINE] * 4 + [OUTCOMES[TIME_OUT]]
    assert [edge(picture, second) for picture in expected] == [LINE] * 2 + [OUTCOMES[GOAL]] * 3, "it stays"
    thick = expected[-1][first[0] - BORDER : first[0], first[1] + 5]
    assert (thick == OUTCOMES[TIME_OUT]).all()


def test_bodies_are_where_they_were(episodes):
    images = [np.asarray(image).astype(int) for image in film(episodes[:1], pixels=PIXELS, every=7)]
    top, left = corner(0)
    inside = [image[top : top + PIXELS, left : left + PIXELS] for image in images]
    first, last = ((image == (0, 204, 0)).all(axis=-1).nonzero()[1].mean() for image in inside)
    assert last - first == pytest.approx(7 * 0.04 * PIXELS / 5, abs=0.5)


def test_states_that_are_not_finite_show_the_last_that_was(episodes):
    position = episodes[1].position.copy()
    position[1:] = np.nan
    broken = Episode(episodes[1].level, position, episodes[1].rotation, NOT_FINITE, "broken")
    np.testing.assert_array_equal(broken.scene(3).position, position[0])
    position[0] = np.inf
    np.testing.assert_array_equal(broken.scene(3).position, episodes[1].level.position)


def test_films_keep_time():
    shown = durations(31, 15)
    assert sum(shown[:-1]) == 2000 and set(shown[:-1]) == {60, 70} and shown[-1] == 2000


def test_a_strip_shows_moments_from_beginning_to_end(episodes, tmp_path):
    save_strip(tmp_path / "strip.png", episodes, 3, pixels=PIXELS)
    with Image.open(tmp_path / "strip.png") as image:
        assert image.format == "PNG" and not getattr(image, "is_animated", False)
        paper = np.asarray(image)
    np.testing.assert_array_equal(paper, np.asarray(strip(episodes, 3, pixels=PIXELS)))
    blank = [np.zeros((PIXELS, PIXELS, 3), np.uint8)] * 6
    assert paper.shape == np.asarray(sheet(blank, [""] * 6, columns=3)).shape
    step = paper.shape[0] // 2
    above = [paper[GAP + row * (step - GAP // 2), GAP + 10 :: PIXELS + 2 + GAP][:3] for row in (0, 1)]
    edges = [[tuple(pixel) for pixel in row] for row in above]
    assert edges == [[LINE, LINE, OUTCOMES[TIME_OUT]], [LINE, LINE, OUTCOMES[GOAL]]]
    with pytest.raises(ValueError, match="at least 2"):
        strip(episodes, 1)


def test_films_that_cannot_be_are_refused(episodes, tmp_path):
    path = tmp_path / "film.gif"
    for options, complaint in (
        ({"every": 0}, "every"),
        ({"fps": 1000}, "fps"),
        ({"columns": 0}, "columns"),
        ({"pixels": 0}, "pixels"),
    ):
        with pytest.raises(ValueError, match=complaint):
            save_film(path, episodes, **options)
    with pytest.raises(ValueError, match="too much for one film"):
        save_film(path, episodes * 500, pixels=2000)
    with pytest.raises(ValueError, match="at least one"):
        save_film(path, [])
    with pytest.raises(ValueError, match="GIF or animated PNG"):
        save_film(tmp_path / "film.mp4", episodes)
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="overwrite"):
        save_film(path, episodes, pixels=PIXELS)
    assert path.read_bytes() == b"mine"
    save_film(path, episodes, pixels=PIXELS, overwrite=True)
    assert path.read_bytes().startswith(b"GIF89a")


def test_the_command_films_sheets_folders_and_strips(suite, tmp_path, capsys):
    for i, name in enumerate(("win me", "lose")):
        save_level(jax.tree.map(lambda x: x[i], suite.levels), tmp_path / "levels" / f"{name}.json")
    levels, small = tmp_path / "levels", ("--pixels", PIXELS, "--every", 20)

    def run(*arguments) -> str:
        assert main(["film", "noop", *map(str, arguments)]) == 0
        return capsys.readouterr().out

    said = run(levels, "--out", tmp_path / "film.gif", *small)
    assert [line.rpartition(" after ")[0] for line in said.splitlines()] == [
        "levels/lose, attempt 1: failure",
        "levels/win me, attempt 1: goal",
    ]
    with Image.open(tmp_path / "film.gif") as image:
        assert image.n_frames > 1
    said = run(levels, "--out", tmp_path / "films", "--failures", "--tries", 3, "--attempts", 2, *small)
    assert len(said.splitlines()) == 2 and "goal" not in said
    assert sorted(p.name for p in (tmp_path / "films").iterdir()) == ["lose-attempt-1.gif", "lose-attempt-2.gif"]
    run(levels, "--out", tmp_path / "strip.png", "--strip", 3, "--pixels", PIXELS)
    with Image.open(tmp_path / "strip.png") as image:
        assert image.size[0] == 3 * (PIXELS + 12) + 10 and image.format == "PNG"

    for arguments, complaint in (
        ((levels, "--out", tmp_path / "film.gif"), "--overwrite"),
        ((levels, "--out", tmp_path / "films"), "--overwrite"),
        ((levels, "--out", tmp_path / "film.mp4"), "GIF or animated PNG"),
        ((levels, "--out", tmp_path / "a.gif", "--strip", 3), "ends in .png"),
        ((levels, "--out", tmp_path / "a.png", "--strip", 1), "at least 2"),
        ((levels, "--out", tmp_path / "a.gif", "--fps", 0), "fps"),
        ((levels, "--out", tmp_path / "a.gif", "--attempts", 3, "--tries", 2), "--tries"),
        (("nosuite", "--out", tmp_path / "a.gif"), "unknown suite"),
        ((levels / "win me.json", "--out", tmp_path / "a.gif", "--failures"), "no failure"),
    ):
        assert main(["film", "noop", *map(str, arguments)]) == 2
        said = capsys.readouterr()
        assert complaint in said.err and len(said.err.splitlines()) == 1
    assert not (tmp_path / "a.gif").exists()
