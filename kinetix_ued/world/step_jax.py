"""The readable engine: one frame of one scene in plain JAX, for any accelerator, and the other engine's oracle."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from . import constants, contact_solver, contacts, joints
from .level import Level
from .sharding import varying_like
from .state import Frames, WorldState
from .touch import observe_frame


def frame(level: Level, state: WorldState, motor, thruster, padding_fault: bool) -> WorldState:
    """The state one frame (1/60 s) later.

    Order as in Jax2D 1.0.1: gravity, contacts at the positions before anything moves, motors, thrusters, warm start,
    iterations of joints and contacts, semi-implicit Euler, clips.
    """
    gravity = level.gravity * constants.DT * (level.inverse_mass != 0)[:, None]
    twist = jnp.concatenate([state.velocity + gravity, state.angular_velocity[:, None]], axis=1)
    position = state.position

    touching = contacts.detect(level, position, state.rotation, twist)
    solver = contact_solver.prepare(level, state, touching)
    impulses = contact_solver.warm_start(state, touching)
    frame_joints = joints.prepare(level, state.rotation)

    twist = joints.run_motors(level, frame_joints, twist, motor)
    twist = joints.run_thrusters(level, state.rotation, twist, thruster)
    twist = contact_solver.apply_warm_start(level, position, twist, touching, impulses, solver.resolved)
    joint_impulse, joint_angular = state.joint_impulse, state.joint_angular_impulse
    twist = joints.warm_start(level, frame_joints, twist, joint_impulse, joint_angular)

    def iteration(_, carry):
        position, twist, joint_impulse, joint_angular, impulses = carry
        position, twist, joint_impulse, joint_angular = joints.iterate(
            level, frame_joints, position, twist, joint_impulse, joint_angular
        )
        twist, impulses = contact_solver.iterate(level, solver, position, twist, impulses, padding_fault)
        return position, twist, joint_impulse, joint_angular, impulses

    position, twist, joint_impulse, joint_angular, impulses = jax.lax.fori_loop(
        0, constants.SOLVER_ITERATIONS, iteration, (position, twist, joint_impulse, joint_angular, impulses)
    )
    clip = lambda x, limit: jnp.clip(x, -limit, limit)
    return WorldState(
        position=clip(position + twist[:, :2] * constants.DT, constants.CLIP_POSITION),
        rotation=state.rotation + twist[:, 2] * constants.DT,
        velocity=clip(twist[:, :2], constants.CLIP_VELOCITY),
        angular_velocity=clip(twist[:, 2], constants.CLIP_ANGULAR_VELOCITY),
        joint_impulse=joint_impulse,
        joint_angular_impulse=joint_angular,
        contact_active=touching.active,
        contact_normal_impulse=impulses.normal,
        contact_tangent_impulse=impulses.tangent,
        component=state.component,
    )


def step(level: Level, state: WorldState, motor, thruster, frames: int, padding_fault: bool) -> tuple[WorldState, Frames]:
    """``frames`` frames under one action; see ``Engine.step``."""

    def one(state, _):
        state = frame(level, state, motor, thruster, padding_fault)
        return state, Frames(*observe_frame(level, state.position, state.contact_active))

    first = varying_like(state, level, state, motor, thruster).replace(component=state.component)
    return jax.lax.scan(one, first, length=frames)
