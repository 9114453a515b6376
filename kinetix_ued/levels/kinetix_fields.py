"""The fields of Kinetix' level format, in the file's order."""

from __future__ import annotations

from collections.abc import Mapping

from kinetix_ued.world import ROLES, constants

Table = Mapping[str, tuple[str | None, type, tuple[int, ...]]]
"""Field of the file: (field of Level, type, shape). None: derived from the rest, so not looked at."""

BODY: Table = {
    "position": ("position", float, (2,)),
    "rotation": ("rotation", float, ()),
    "velocity": ("velocity", float, (2,)),
    "angular_velocity": ("angular_velocity", float, ()),
    "inverse_mass": ("inverse_mass", float, ()),
    "inverse_inertia": ("inverse_inertia", float, ()),
    "friction": ("friction", float, ()),
    "restitution": ("restitution", float, ()),
    "collision_mode": ("collision_mode", int, ()),
    "active": ("active", bool, ()),
    "n_vertices": ("n_vertices", int, ()),
    "vertices": ("vertices", float, (constants.MAX_VERTICES, 2)),
    "radius": ("radius", float, ()),
    "role": ("role", int, ()),
    "density": ("density", float, ()),
    "highlighted": ("highlighted", bool, ()),
}
JOINT: Table = {
    "a_index": ("joint_a", int, ()),
    "b_index": ("joint_b", int, ()),
    "a_relative_pos": ("joint_anchor_a", float, (2,)),
    "b_relative_pos": ("joint_anchor_b", float, (2,)),
    "global_position": (None, float, (2,)),
    "active": ("joint_active", bool, ()),
    "acc_impulse": ("joint_impulse", float, (2,)),
    "acc_r_impulse": ("joint_angular_impulse", float, ()),
    "motor_speed": ("motor_speed", float, ()),
    "motor_power": ("motor_power", float, ()),
    "motor_on": ("motor_on", bool, ()),
    "motor_has_joint_limits": ("joint_limited", bool, ()),
    "min_rotation": ("joint_min", float, ()),
    "max_rotation": ("joint_max", float, ()),
    "is_fixed_joint": ("joint_fixed", bool, ()),
    "rotation": ("joint_rotation", float, ()),
    "motor_binding": ("motor_binding", int, ()),
}
THRUSTER: Table = {
    "object_index": ("thruster_body", int, ()),
    "relative_position": ("thruster_position", float, (2,)),
    "rotation": ("thruster_rotation", float, ()),
    "power": ("thruster_power", float, ()),
    "global_position": (None, float, (2,)),
    "active": ("thruster_active", bool, ()),
    "thruster_binding": ("thruster_binding", int, ()),
}
MANIFOLD: Table = {
    "normal": (None, float, (2,)),
    "penetration": (None, float, ()),
    "collision_point": (None, float, (2,)),
    "active": ("contact_active", bool, ()),
    "acc_impulse_normal": ("contact_normal_impulse", float, ()),
    "acc_impulse_tangent": ("contact_tangent_impulse", float, ()),
    "restitution_velocity_target": (None, float, ()),
}
MANIFOLDS = ("acc_rr_manifolds", "acc_cr_manifolds", "acc_cc_manifolds")
STATE = ("polygon", "circle", "joint", "thruster", "collision_matrix", *MANIFOLDS, "gravity")
DERIVED = ("collision_matrix", *MANIFOLDS)
"""What ``env_state`` may leave out: what follows from the rest, and contacts, of which an episode starts with none."""

INDICES = ("joint_a", "joint_b", "thruster_body")

LIMITS = ("min_rotation", "max_rotation")
MOTOR = ("motor_speed", "motor_power", "motor_on", "motor_binding")


def unread(table: Table, kind: str, flags: Mapping[str, bool]) -> frozenset[str]:
    """Fields of an entry that neither physics nor rules nor agents read, so that a file may leave them out.

    Impulses are among them: a level at its start has none. So is all of an unused slot but the flag that says so.

    Args:
        table: of the kind of entry.
        kind: as in SLOTS or MANIFOLDS.
        flags: those of ``FLAGS`` that the entry has.
    """
    if kind in MANIFOLDS:
        return frozenset(table)
    if not flags["active"]:
        return frozenset(table) - {"active"}
    fields = {field for field, (name, _, _) in table.items() if name is None} | set(NOWHERE_READ[kind])
    if flags.get("is_fixed_joint"):
        fields |= {*MOTOR, "motor_has_joint_limits", *LIMITS}
    elif kind == "joint" and not flags.get("motor_has_joint_limits"):
        fields |= set(LIMITS)
    return frozenset(fields)


FLAGS = ("active", "is_fixed_joint", "motor_has_joint_limits")
"""Fields on which it depends which others are read."""

NOWHERE_READ = {
    "polygon": ("highlighted", "radius"),
    "circle": ("highlighted", "n_vertices", "vertices"),
    "joint": ("acc_impulse", "acc_r_impulse"),
    "thruster": (),
}
"""Fields of used slots that no rule reads, or that a level at its start does not need, beside the derived ones."""

PHYSICS = {
    "dt": constants.DT,
    "slop": constants.PENETRATION_SLOP,
    "baumgarte_coefficient_joints_v": constants.JOINT_BIAS_VELOCITY,
    "baumgarte_coefficient_joints_p": constants.JOINT_BIAS_POSITION,
    "baumgarte_coefficient_fjoint_av": constants.FIXED_JOINT_BIAS,
    "baumgarte_coefficient_rjoint_limit_av": constants.JOINT_LIMIT_BIAS,
    "baumgarte_coefficient_collision": constants.CONTACT_BIAS,
    "joint_stiffness": constants.JOINT_STIFFNESS,
    "clip_position": constants.CLIP_POSITION,
    "clip_velocity": constants.CLIP_VELOCITY,
    "clip_angular_velocity": constants.CLIP_ANGULAR_VELOCITY,
    "base_motor_speed": constants.MOTOR_SPEED,
    "base_motor_power": constants.MOTOR_POWER,
    "base_thruster_power": constants.THRUSTER_FORCE,
    "motor_decay_coefficient": constants.MOTOR_DECAY,
    "motor_joint_limit": constants.MOTOR_LIMIT_MARGIN,
    "base_friction": constants.BASE_FRICTION,
}
"""What ``env_params`` must say, because the physics has these numbers built in."""

ROLE_COUNT = {"num_shape_roles": len(ROLES)}
"""What ``env_params`` may say, and then only this: the roles themselves are checked."""

PRESENTATION = {"max_timesteps": 256, "pixels_per_unit": 100, "dense_reward_scale": 0.1}
"""The rest of ``env_params``: Kinetix' defaults, not the level's."""

STATIC_PHYSICS = {
    "num_solver_iterations": constants.SOLVER_ITERATIONS,
    "solver_batch_size": constants.SOLVER_GROUP,
    "do_warm_starting": True,
    "num_static_fixated_polys": constants.STATIC_POLYGONS,
    "num_motor_bindings": constants.MOTOR_BINDINGS,
    "num_thruster_bindings": constants.THRUSTER_BINDINGS,
}
"""What ``static_env_params`` must say, beside the numbers of slots."""

VERTEX_COUNT = {"max_polygon_vertices": constants.MAX_VERTICES}
"""What ``static_env_params`` may say, and then only this: the corners themselves are counted."""

STATIC_PRESENTATION = {"screen_dim": {"0": 500, "1": 500}, "downscale": 4, "frame_skip": 1, "max_shape_size": 2}
"""The rest of ``static_env_params``: Kinetix' defaults, not the level's."""

SLOTS = {"polygon": "num_polygons", "circle": "num_circles", "joint": "num_joints", "thruster": "num_thrusters"}
