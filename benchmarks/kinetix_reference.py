"""The other side of the throughput benchmark: the reference, kinetix-env 3.0.2, where it is installed.

It is imported here and nowhere else, and only when it is asked for. It wants an older JAX than this package: the one
thing it misses, the old argument names of ``jnp.clip``, is given to its modules alone.
"""

from __future__ import annotations

import types
from typing import Any

import jax
import jax.numpy as jnp

from kinetix_ued.environment import make
from kinetix_ued.world import Level, Size, size_of

from .throughput import ENVIRONMENT, PHYSICS, Settings, Workload
from .timing import Program

INSTALL = (
    "pip install --no-deps kinetix-env==3.0.2 jax2d==1.0.1 jaxgl==1.0.1 && "
    "pip install distrax grain imageio omegaconf safetensors wandb zarr"
)
"""What makes it importable beside this package; its own requirements would replace JAX."""


class _ClipByOldNames(types.ModuleType):
    """``jax.numpy`` whose ``clip`` also takes the bounds as ``a_min`` and ``a_max``."""

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)

    @staticmethod
    def clip(array, min=None, max=None, *, a_min=None, a_max=None):
        return jnp.clip(array, a_min if min is None else min, a_max if max is None else max)


def require(size: str) -> None:
    """Import the reference.

    Raises:
        ValueError: where it is not installed, or has no such size.
    """
    if size not in ("s", "m", "l"):
        raise ValueError(f"the reference has sizes s, m and l; got {size!r}")
    try:
        import kinetix.environment  # noqa: F401  (before any other module of it: their imports are circular)
        from jax2d import collision, engine
    except ImportError as problem:
        raise ValueError(f"the reference cannot be imported ({problem}): {INSTALL}") from problem
    for module in (collision, engine):
        module.jnp = _ClipByOldNames("jax.numpy")


def step_programs(settings: Settings, work: Workload) -> dict[str, Program]:
    """Its physics step and its environment with entity observations and auto-reset to the same level."""
    import kinetix.environment as reference

    own = make(settings.size, engine="jax", frame_skip=settings.frame_skip)
    static = reference.static_env_params_from_size(settings.size).replace(frame_skip=settings.frame_skip)
    params = reference.EnvParams(max_timesteps=own.max_steps, dense_reward_scale=own.dense_reward_scale)
    env = reference.make_kinetix_env(
        action_type=reference.ActionType.MULTI_DISCRETE,
        observation_type=reference.ObservationType.SYMBOLIC_ENTITY,
        reset_fn=None,
        env_params=params,
        static_env_params=static,
        auto_reset=True,
    )
    scenes = jax.jit(jax.vmap(lambda level: to_reference(level, static)))(work.levels)
    key = jax.random.key(0)
    act = jax.vmap(lambda state, action: env.physics_engine.step(state, params, action)[0])
    env_step = jax.vmap(env.step, in_axes=(None, 0, 0, None, 0))
    env_reset = jax.vmap(env.reset, in_axes=(None, None, 0))

    @jax.jit
    def physics(scenes, actions):
        last = jax.lax.scan(lambda state, action: (act(state, action), None), scenes, actions)[0]
        return jnp.concatenate([last.polygon.position, last.circle.position], axis=1)

    @jax.jit
    def environment(scenes, actions):
        def step(carry, action):
            observation, state, reward, done, info = env_step(key, carry[1], action, params, scenes)
            return (observation, state), (reward.sum(), done.sum(), info["GoalR"].sum())

        (observation, _), sums = jax.lax.scan(step, env_reset(key, params, scenes), actions)
        return observation, sums

    forces = jnp.concatenate([work.motor, work.thruster], axis=-1)
    return {PHYSICS: lambda: physics(scenes, forces), ENVIRONMENT: lambda: environment(scenes, work.actions)}


def generation_programs(size: str, levels: Level, edits: int, seed: int) -> dict[str, Program]:
    """Its random levels, and its edits of ``levels`` (B); both give as many levels.

    Raises:
        ValueError: where it is not installed, or has no such size.
    """
    require(size)
    import kinetix.environment as reference
    from jax2d.engine import PhysicsEngine
    from kinetix.environment.ued.ued import make_mutate_env

    static, params = reference.static_env_params_from_size(size), reference.EnvParams()
    engine, ued = PhysicsEngine(static), reference.UEDParams()
    scenes = jax.jit(jax.vmap(lambda level: to_reference(level, static)))(levels)
    keys = jax.random.split(jax.random.key(seed), len(levels))
    draw = jax.jit(jax.vmap(lambda key: reference.sample_kinetix_level(key, engine, params, static, ued)))
    change = make_mutate_env(static, params, ued)
    edit = jax.jit(jax.vmap(lambda key, scene: change(key, scene, edits)))
    return {"random levels": lambda: draw(keys).polygon.position, f"{edits} edits": lambda: edit(keys, scenes).polygon.position}


def rendering_program(size: str, levels: Level) -> Program:
    """Its pixel observations of ``levels`` (B), in [0, 1] (B, 125, 125, 3).

    Raises:
        ValueError: where it is not installed, or has no such size.
    """
    require(size)
    import kinetix.environment as reference
    from kinetix.render.renderer_pixels import make_render_pixels_rl

    static, params = reference.static_env_params_from_size(size), reference.EnvParams()
    scenes = jax.jit(jax.vmap(lambda level: to_reference(level, static)))(levels)
    draw = make_render_pixels_rl(params, static)
    together = jax.jit(jax.vmap(lambda scene: draw(scene).image))
    return lambda: together(scenes)


def to_reference(level: Level, static: Any) -> Any:
    """A level as the reference's state; static are its static parameters. Warm-start data are left at zero."""
    import kinetix.environment as reference
    from jax2d.engine import calculate_collision_matrix, recompute_global_joint_positions

    size: Size = size_of(level.size)
    empty = reference.create_empty_env(static)
    polygons, circles = slice(0, size.polygons), slice(size.polygons, size.bodies)
    same = (
        "position rotation velocity angular_velocity inverse_mass inverse_inertia friction restitution collision_mode "
        "active n_vertices vertices radius"
    ).split()
    body = lambda which: {name: getattr(level, name)[which] for name in same}
    joint = empty.joint.replace(
        a_index=level.joint_a,
        b_index=level.joint_b,
        a_relative_pos=level.joint_anchor_a,
        b_relative_pos=level.joint_anchor_b,
        active=level.joint_active,
        motor_speed=level.motor_speed,
        motor_power=level.motor_power,
        motor_on=level.motor_on,
        motor_has_joint_limits=level.joint_limited,
        min_rotation=level.joint_min,
        max_rotation=level.joint_max,
        is_fixed_joint=level.joint_fixed,
        rotation=level.joint_rotation,
    )
    thruster = empty.thruster.replace(
        object_index=level.thruster_body,
        relative_position=level.thruster_position,
        rotation=level.thruster_rotation,
        power=level.thruster_power,
        active=level.thruster_active,
    )
    state = empty.replace(
        polygon=empty.polygon.replace(**body(polygons)),
        circle=empty.circle.replace(**body(circles)),
        joint=joint,
        thruster=thruster,
        motor_bindings=level.motor_binding,
        motor_auto=level.motor_auto,
        thruster_bindings=level.thruster_binding,
        polygon_shape_roles=level.role[polygons],
        circle_shape_roles=level.role[circles],
        polygon_densities=level.density[polygons],
        circle_densities=level.density[circles],
        collision_matrix=calculate_collision_matrix(static, joint),
        gravity=level.gravity,
    )
    return recompute_global_joint_positions(state, static)
