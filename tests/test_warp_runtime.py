"""Warp where it starts, where it keeps its kernels, and where it cannot be differentiated."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import pytest

from kinetix_ued.environment import make
from kinetix_ued.generators import sample_levels
from kinetix_ued.world import warp_runtime

STEP = """
import jax.numpy as jnp
from kinetix_ued.world import Engine, empty_level, start
level = empty_level("5p1c1j1t")
state, _ = Engine("warp").step(level, start(level), jnp.zeros(1), jnp.zeros(1))
print(float(state.position.sum()))
"""

CHOOSE = """
import warnings
from kinetix_ued.world import get_engine
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    print(get_engine("auto").name)
print(*(warning.message for warning in told), sep="\\n")
try:
    get_engine("warp")
except ValueError as error:
    print(error)
"""


def python(code, **environment):
    """Standard output and standard error of a process; None unsets a variable."""
    environment = {name: value for name, value in (os.environ | environment).items() if value is not None}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("home", [False, True], ids=["WARP_CACHE_PATH", "HOME"])
def test_a_cache_that_cannot_be_written_is_one_line_with_the_remedy(home, tmp_path):
    (tmp_path / "file").write_text("")
    blocked = str(tmp_path / "file" / "below")
    places = {"HOME": blocked, "XDG_CACHE_HOME": None, "WARP_CACHE_PATH": None} if home else {"WARP_CACHE_PATH": blocked}
    (chosen, told, refused), _ = python(CHOOSE, **places)
    assert chosen == "jax"
    for line in (told, refused):
        assert "cannot write its kernel cache" in line and blocked in line and "WARP_CACHE_PATH" in line
    assert "using the slower engine 'jax'" in told and "use engine='jax'" in refused


def test_a_damaged_cache_is_compiled_again(tmp_path):
    expected, quiet = python(STEP, WARP_CACHE_PATH=str(tmp_path))
    assert "damaged" not in quiet
    for pattern, kept in (("*.o", 0.0), ("*.o", 0.5), ("*.meta", 0.1)):
        [cut] = tmp_path.glob(f"*/*/{pattern}")
        whole = cut.read_bytes()
        cut.write_bytes(whole[: int(len(whole) * kept)])
        found, told = python(STEP, WARP_CACHE_PATH=str(tmp_path))
        assert found == expected
        assert "is damaged: compiling the kernel again" in told and cut.parent.name.rsplit("_", 1)[0] in told
    # Cut by a crash of the machine, a file may have its length and hold zeros.
    [cut] = tmp_path.glob("*/*/*.o")
    cut.write_bytes(bytes(cut.stat().st_size))
    assert python(STEP, WARP_CACHE_PATH=str(tmp_path))[0] == expected


def test_a_full_disk_is_named(monkeypatch):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    import warp

    kernel = type("Kernel", (), {"module": type("Module", (), {"name": "step", "execs": {}})})
    monkeypatch.setattr(warp_runtime, "warp_problem", lambda: None)
    monkeypatch.setattr(warp, "load_module", fail)
    warp.init()
    with pytest.raises(RuntimeError, match="No space left on device.*WARP_CACHE_PATH.*engine='jax'"):
        warp_runtime.load_kernel(kernel)


def test_nothing_is_said_of_a_missing_driver_and_all_else_is(capfd):
    code = "from kinetix_ued.world import get_engine; get_engine('warp')"
    assert python(code, JAX_PLATFORMS="cpu") == ([], "")
    with warp_runtime._without_driver_line():
        os.write(2, b"one\nWarp CUDA warning: " + warp_runtime.NO_DRIVER + b". None.\nWarp CUDA error: another\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "one\nWarp CUDA error: another\nafter\n"
    with pytest.raises(KeyError), warp_runtime._without_driver_line():
        os.write(2, b"before it failed\n")
        raise KeyError
    assert capfd.readouterr().err == "before it failed\n"


@pytest.mark.parametrize("platforms, wanted", [(None, False), ("cpu", False), ("cuda,cpu", True), ("gpu", True)])
def test_the_line_stays_where_a_gpu_was_asked_for(platforms, wanted, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.setattr(warp_runtime, "_platforms", lambda: platforms or "")
    assert warp_runtime._wants_gpu() == wanted


@pytest.fixture(scope="module")
def levels():
    return sample_levels(jax.random.key(0), 2, "s")


def final_height(engine):
    env = make("s", engine=engine, actions="continuous")

    def height(action, level):
        params = env.default_params
        _, state = env.reset_to_level(jax.random.key(0), level, params)
        step = lambda state, _: (env.step(jax.random.key(0), state, action, params)[1], None)
        return jax.lax.scan(step, state, length=2)[0].world.position[..., 1].sum()

    return height


DERIVATIVES = {
    "grad": lambda f, action, levels: jax.grad(f)(action, levels[0]),
    "jvp": lambda f, action, levels: jax.jvp(lambda action: f(action, levels[0]), (action,), (action,)),
    "linearize": lambda f, action, levels: jax.linearize(lambda action: f(action, levels[0]), action)[0],
    "vmap of grad": lambda f, action, levels: jax.vmap(jax.grad(f), (None, 0))(action, levels),
    "grad of vmap": lambda f, action, levels: jax.grad(lambda a: jax.vmap(f, (None, 0))(a, levels).sum())(action),
    "grad of jit": lambda f, action, levels: jax.grad(jax.jit(f))(action, levels[0]),
}


@pytest.mark.parametrize("derivative", DERIVATIVES)
def test_a_derivative_names_the_engine_that_has_one(derivative, levels):
    take, action = DERIVATIVES[derivative], jnp.full(6, 0.5)
    with pytest.raises(NotImplementedError, match="engine='jax'"):
        take(final_height("warp"), action, levels)
    jax.eval_shape(lambda action: take(final_height("jax"), action, levels), action)


def test_what_does_not_depend_on_a_step_can_be_differentiated(levels):
    height = final_height("warp")
    slope = jax.grad(lambda weight: weight * height(jnp.zeros(6), levels[0]))(1.0)
    assert slope == height(jnp.zeros(6), levels[0])
