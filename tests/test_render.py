"""Pictures: by hand, against the reference's, and as files."""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from kinetix_ued.levels import builder, load_level
from kinetix_ued.viewer import picture, pictures, render, save_sheet, sheet
from kinetix_ued.viewer.palette import BINDING_COLOURS, ROLE_COLOURS, pack, unpack
from kinetix_ued.viewer.sheet import shortened
from kinetix_ued.world import empty_level, start

DATA = Path(__file__).parent / "data"
FRAMES = np.load(DATA / "reference_pixels.npz")
METRE, FLOOR = 25, 10
"""Pixels of the default picture in a metre, and below the floor's surface."""


def bytes_of(image):
    return np.round(255 * np.asarray(image)).astype(np.int32)


def shows(image, colour):
    """Where an image has a colour (P, P)."""
    return (np.abs(bytes_of(image) - np.asarray(colour)) <= 1).all(axis=-1)


def with_rectangle(*arguments, role="green", size="s", **options):
    return builder.add_rectangle(empty_level(size), *arguments, role=role, **options)[0]


def test_an_empty_room_is_white_above_its_floor():
    image = render(empty_level("s"))
    assert image.shape == (125, 125, 3) and image.dtype == jnp.float32
    assert shows(image, (80, 80, 80))[:, :FLOOR].all() and shows(image, (255, 255, 255))[:, FLOOR:].all()


def test_a_rectangle_covers_the_pixels_whose_points_lie_in_it():
    # 1 m x 0.4 m around (2.02, 3.22): x from 1.52 to 2.52 m is pixels 38 to 62, y from 3.02 to 3.42 m 76 to 85.
    expected = np.zeros((125, 125), bool)
    expected[38:63, 76:86] = True
    for turns in range(4):
        width, height = (1.0, 0.4) if turns % 2 == 0 else (0.4, 1.0)
        green = shows(render(with_rectangle((2.02, 3.22), width, height, turns * math.pi / 2)), ROLE_COLOURS[1])
        np.testing.assert_array_equal(green, expected)


def test_edges_through_points_count_once():
    left = with_rectangle((1.0, 2.0), 1.0, 1.0, size="m")
    both, _ = builder.add_rectangle(left, (2.0, 2.0), 1.0, 1.0, role="red")
    image = render(both)
    green, red = shows(image, ROLE_COLOURS[1]), shows(image, ROLE_COLOURS[3])
    assert green.sum() == red.sum() == METRE**2 and not (green & red).any()


@pytest.mark.parametrize("angle", [0.3, 1.1, 2.5, -0.7])
def test_a_turned_rectangle_against_the_definition(angle):
    level = with_rectangle((2.31, 2.17), 1.3, 0.6, angle)
    x, y = np.meshgrid(np.arange(125) / METRE - 2.31, np.arange(125) / METRE - 2.17, indexing="ij")
    along, across = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    expected = (abs(along) < 0.65) & (abs(across) < 0.3)
    assert (shows(render(level), ROLE_COLOURS[1]) != expected).sum() <= 1


def test_a_triangle_has_its_own_area():
    corners = np.array([[1.0, 1.0], [2.0, 3.0], [3.5, 1.5]])
    (ax, ay), (bx, by) = corners[1] - corners[0], corners[2] - corners[0]
    area = abs(ax * by - ay * bx) / 2 * METRE**2
    for order in (corners, corners[[1, 2, 0]], corners[[2, 0, 1]]):
        level, _ = builder.add_polygon(empty_level("s"), order, role="blue")
        assert shows(render(level), ROLE_COLOURS[2]).sum() == pytest.approx(area, rel=0.02)


def test_shapes_wider_than_two_metres_are_whole():
    green = shows(render(with_rectangle((2.5, 2.5), 4.6, 0.6)), ROLE_COLOURS[1])
    assert green.sum() == pytest.approx(4.6 * 0.6 * METRE**2, rel=0.03)
    level, _ = builder.add_circle(empty_level("s"), (2.5, 2.7), 1.6, role="red")
    image = render(level)
    disc = shows(image, ROLE_COLOURS[3]) | shows(image, (0, 0, 0))
    assert disc.sum() == pytest.approx(math.pi * (1.6 * METRE) ** 2, rel=0.01)


def test_a_circle_shows_how_far_it_has_turned():
    for angle in (0.0, 0.8, 2.0, 4.0):
        level, _ = builder.add_circle(empty_level("s"), (2.5, 2.7), 1.0, angle, role="blue")
        x, y = np.nonzero(shows(render(level), (0, 0, 0)))
        middle = np.array([x.mean() / METRE - 2.5, y.mean() / METRE - 2.7])
        np.testing.assert_allclose(middle, [-0.5 * np.sin(angle), 0.5 * np.cos(angle)], atol=0.05)


@pytest.mark.parametrize("role", ["none", "green", "blue", "red"])
def test_roles_have_their_colours_and_fixed_bodies_are_darker(role):
    colour = np.array(ROLE_COLOURS[("none", "green", "blue", "red").index(role)])
    for fixed in (False, True):
        image = render(with_rectangle((2.5, 2.5), 1.0, 1.0, role=role, fixed=fixed))
        np.testing.assert_allclose(image[62, 62], colour / 255 * (0.5 if fixed else 1.0), atol=1e-6)


def test_circles_are_drawn_over_polygons_and_these_over_the_floor():
    level = with_rectangle((2.5, 0.6), 1.0, 1.0)
    level, _ = builder.add_circle(level, (2.9, 0.9), 0.3, math.pi, role="blue")
    image = render(level)
    assert shows(image, ROLE_COLOURS[1])[55, 5] and shows(image, ROLE_COLOURS[2])[72, 25]
    assert shows(image, (80, 80, 80))[30, 5]


def test_what_is_not_active_is_not_seen():
    rng = np.random.default_rng(0)
    level = empty_level("l")
    noise = lambda x: jnp.asarray(rng.uniform(0, 3, x.shape), x.dtype)
    but_the_floor = lambda x: noise(x).at[0].set(x[0])
    hidden = level.replace(
        position=but_the_floor(level.position),
        rotation=but_the_floor(level.rotation),
        vertices=but_the_floor(level.vertices),
        radius=noise(level.radius),
        joint_anchor_a=noise(level.joint_anchor_a),
        thruster_position=noise(level.thruster_position),
    )
    np.testing.assert_array_equal(render(hidden), render(level))


def test_joints_and_thrusters_have_the_colours_of_their_bindings():
    level = with_rectangle((2.0, 2.0), 1.0, 0.6, role="none", size="m")
    level, ball = builder.add_circle(level, (2.4, 2.0), 0.4, math.pi)
    level, _ = builder.add_joint(level, 4, ball, (2.4, 2.0), binding=2)
    level, _ = builder.add_joint(level, 4, ball, (1.6, 2.0), fixed=True)
    level, _ = builder.add_thruster(level, 4, (2.0, 3.5), 0.0, 1.0, binding=1)
    image = render(level)
    assert list(zip(*np.nonzero(shows(image, BINDING_COLOURS[2])))) == [(60, 50)]
    assert shows(image, (255, 255, 255))[40, 50]

    fine = render(level, pixels=500)
    revolute, fixed = np.array([240, 200]), np.array([160, 200])
    cyan = np.stack(np.nonzero(shows(fine, BINDING_COLOURS[2])))
    np.testing.assert_allclose(cyan.mean(axis=1), revolute - 0.5, atol=0.1)
    around = shows(fine, (0, 0, 0))[fixed[0] - 3 : fixed[0] + 3, fixed[1] - 3 : fixed[1] + 3]
    assert around.sum() == 6 * 6 - 4 * 4 and shows(fine, (255, 255, 255))[160, 200]
    flame = np.nonzero(shows(fine, np.array(BINDING_COLOURS[1]) * 196 / 255))[0]
    nozzle = np.nonzero(shows(fine, (93, 93, 93))[:, 300:])[0]
    assert flame.max() < nozzle.min() and 190 < flame.min() and nozzle.max() < 210, "the force points to the right"


def test_outlines_grow_with_the_picture():
    level = with_rectangle((2.5, 2.5), 1.0, 1.0, size="m")
    for pixels, width in ((125, 0), (250, 1), (500, 2)):
        row = np.asarray(render(level, pixels=pixels)[:, pixels // 2])
        assert (row == 0).all(axis=-1).sum() == 2 * width


def test_supersampling_is_the_mean_of_a_finer_picture():
    level = load_level(DATA / "random" / "s" / "random_s_003.json")
    fine = np.asarray(render(level)).reshape(25, 5, 25, 5, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(render(level, pixels=25, supersample=5), fine, atol=1e-6)


@pytest.mark.parametrize("size", ["s", "m", "l"])
def test_pictures_are_the_references(size):
    """Thrusters' markers are our own, 16 pixels each; anything else may differ where an edge meets a sample."""
    names = [name for name in FRAMES if name.startswith(f"random_{size}")]
    assert len(names) == 4
    for name in names:
        level = load_level(DATA / "random" / size / f"{name}.json")
        same = (np.abs(bytes_of(render(level)) - FRAMES[name]) <= 1).all(axis=-1)
        assert (~same).sum() <= 12 * int(level.thruster_active.sum()) + 2, name


def test_a_world_moves_the_bodies_of_a_level():
    level = with_rectangle((1.0, 2.0), 0.8, 0.4)
    world = start(level)
    world = world.replace(position=world.position.at[4].add(1.0), rotation=world.rotation.at[4].set(math.pi / 2))
    expected = render(with_rectangle((2.0, 3.0), 0.8, 0.4, math.pi / 2))
    np.testing.assert_array_equal(render(level, world), expected)


def test_packed_colours_are_exact():
    colours = np.array([[0, 127.5, 255], [51, 204, 102]])
    np.testing.assert_allclose(unpack(jnp.asarray(pack(colours))), colours / 255, atol=1e-7)


def test_what_cannot_be_drawn_is_refused():
    level = empty_level("s")
    batch = jax.tree.map(lambda x: x[None], level)
    for wrong in ({"pixels": 0}, {"pixels": 12.5}, {"supersample": 0}, {"pixels": 1000, "supersample": 5}):
        with pytest.raises(ValueError, match="pixels|supersample"):
            render(level, **wrong)
    with pytest.raises(ValueError, match="markers"):
        render(level, markers=0)
    with pytest.raises(ValueError, match="jax.vmap"):
        render(batch)
    with pytest.raises(ValueError, match="use pictures"):
        picture(batch)
    with pytest.raises(ValueError, match="use picture for one"):
        pictures(level)


def test_pictures_for_people_are_upright():
    image = picture(with_rectangle((1.0, 4.0), 1.0, 1.0), pixels=100)
    assert image.shape == (100, 100, 3) and image.dtype == np.uint8
    assert (image[20, 20] == ROLE_COLOURS[1]).all() and (image[20, 80] == 255).all() and (image[97, 50] == 80).all()


def test_a_sheet_holds_every_picture_and_title():
    images = [np.full((40, 60, 3), 10 * i, np.uint8) for i in range(1, 6)]
    paper = np.asarray(sheet(images, [f"number {i}" for i in range(5)], columns=2))
    untitled = np.asarray(sheet(images, columns=2))
    assert paper.shape[1] == untitled.shape[1] and paper.shape[0] > untitled.shape[0]
    for image in images:
        for found in (paper, untitled):
            assert (found == image[0, 0]).all(axis=-1).sum() >= 40 * 60
    with pytest.raises(ValueError, match="at least one"):
        sheet([])
    with pytest.raises(ValueError, match="as many titles"):
        sheet(images, ["one"])
    with pytest.raises(ValueError, match="columns"):
        sheet(images, columns=0)
    with pytest.raises(ValueError, match="one size"):
        sheet([images[0], images[0][1:]])


def test_titles_stay_under_their_pictures():
    images = [np.full((30, 80, 3), 255, np.uint8)] * 3
    paper = np.asarray(sheet(images, ["W" * 100, "", "short"], columns=3)).astype(int)
    ink = (paper < 100).all(axis=-1)
    below = ink[45:]
    gaps = [slice(0, 10), slice(92, 102), slice(184, 194), slice(276, 286)]
    assert below[:, :92].any() and below[:, 194:].any() and not below[:, 102:184].any()
    assert not any(below[:, gap].any() for gap in gaps)


def test_titles_are_shortened_in_the_middle():
    fits = lambda text: len(text) <= 11
    assert shortened("m/h4 thrust", fits) == "m/h4 thrust"
    assert shortened("random\nsample 17", fits) == "rand...e 17"
    assert shortened("anything", lambda text: False) == ""


def test_sheets_are_written_whole_and_not_over_others(tmp_path):
    scenes = [with_rectangle((x, 2.0), 1.0, 1.0) for x in (1.0, 2.0, 3.0)]
    levels = jax.tree.map(lambda *leaves: jnp.stack(leaves), *scenes)
    path = tmp_path / "new" / "sheet.png"
    save_sheet(path, levels, ["a", "b", "c"], pixels=64, columns=3)
    with Image.open(path) as image:
        assert image.format == "PNG" and image.size == (3 * (64 + 12) + 10, 64 + 12 + 21 + 10)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite"):
        save_sheet(path, levels, pixels=64)
    assert path.read_bytes() == before
    save_sheet(path, levels, pixels=64, overwrite=True)
    assert path.read_bytes() != before and [p.name for p in path.parent.iterdir()] == ["sheet.png"]
