"""The fast engine: JAX's side of the Warp kernel, on CPU and CUDA, under jit, scan and vmap.

``jax.vmap`` of the step becomes one launch over all scenes: the batching rule adds the mapped axis to the batch axis the
kernel already has, so nested maps flatten. Arguments that are not mapped are broadcast.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import warp as wp

from .level import Level
from .sharding import varying_like
from .size import Size
from .state import Frames, WorldState
from .warp_kernel import build_kernel
from .warp_runtime import load_kernel

LEVEL_FIELDS = (
    "active", "vertices", "n_vertices", "radius", "inverse_mass", "inverse_inertia", "friction", "restitution",
    "collision_mode", "role", "joint_active", "joint_a", "joint_b", "joint_anchor_a", "joint_anchor_b", "joint_fixed",
    "joint_rotation", "joint_limited", "joint_min", "joint_max", "motor_on", "motor_speed", "motor_power",
    "thruster_active", "thruster_body", "thruster_position", "thruster_rotation", "thruster_power", "gravity",
)  # fmt: skip
"""What the kernel reads of a level, in the order of its arguments."""

STATE_FIELDS = (
    "position", "rotation", "velocity", "angular_velocity", "joint_impulse", "joint_angular_impulse", "contact_active",
    "contact_normal_impulse", "contact_tangent_impulse",
)  # fmt: skip
"""What it reads and writes of a state, likewise."""


@functools.cache
def batched_step(size: Size, frames: int, padding_fault: bool):
    """The step over a batch: every argument and every result has a leading axis of scenes."""
    kernel = build_kernel(size, padding_fault)
    load_kernel(kernel)
    launch = wp.jax_kernel(kernel, num_outputs=len(STATE_FIELDS) + 2)
    n, j, k = size.bodies, size.joints, size.contacts

    @jax.custom_jvp
    def run(*arguments):
        batch = arguments[0].shape[0]
        shapes = {
            "position_out": (batch, n), "rotation_out": (batch, n), "velocity_out": (batch, n),
            "angular_velocity_out": (batch, n), "joint_impulse_out": (batch, j), "joint_angular_out": (batch, j),
            "contact_active_out": (batch, k), "contact_normal_out": (batch, k), "contact_tangent_out": (batch, k),
            "touch_out": (batch, frames), "distance_out": (batch, frames),
        }  # fmt: skip
        return tuple(launch(frames, *arguments, output_dims=shapes, launch_dims=batch))

    @run.defjvp
    def no_derivative(primals, tangents):
        raise NotImplementedError("engine 'warp' has no derivatives: use engine='jax' to differentiate through a step")

    return run


@functools.cache
def flattening_step(size: Size, frames: int, padding_fault: bool):
    """``batched_step`` with the batching rule that merges a mapped axis into the batch axis."""
    step = jax.custom_batching.custom_vmap(batched_step(size, frames, padding_fault))

    @step.def_vmap
    def rule(axis_size, in_batched, *arguments):
        def merge(x, is_batched):
            x = x if is_batched else jnp.broadcast_to(x, (axis_size, *x.shape))
            return x.reshape(axis_size * x.shape[1], *x.shape[2:])

        merged = [merge(x, b) for x, b in zip(arguments, in_batched, strict=True)]
        results = step(*merged)
        split = tuple(x.reshape(axis_size, -1, *x.shape[1:]) for x in results)
        return split, (True,) * len(split)

    return step


def step(level: Level, state: WorldState, motor, thruster, frames: int, padding_fault: bool) -> tuple[WorldState, Frames]:
    """``frames`` frames of one scene under one action; see ``Engine.step``."""
    arguments = [getattr(level, name) for name in LEVEL_FIELDS] + [getattr(state, name) for name in STATE_FIELDS]
    arguments += [state.component, motor, thruster]
    arguments = varying_like(arguments, arguments)  # a primitive's arguments vary over the same axes
    results = flattening_step(level.size, frames, padding_fault)(*(x[None] for x in arguments))
    results = [x[0] for x in results]
    changed = dict(zip(STATE_FIELDS, results, strict=False))
    return state.replace(**changed), Frames(touch=results[-2], distance=results[-1])
