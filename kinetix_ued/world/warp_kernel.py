"""The kernel of the warp engine: whole frames of one scene in one thread, over the contacts that are active.

Same order and formulas as step_jax.py. The state of a scene lives in local arrays for as many frames as an action
lasts; contacts are a short list instead of the K slots, each kind in its own stretch of it, in pair order. So a contact's
rank among its kind (see ``contact_solver.group_kind``) is its place in the list plus the number of inactive pairs.
"""

from __future__ import annotations

import functools

import warp as wp

from . import constants as c
from .size import Size
from .warp_geometry import (
    can_touch,
    circle_circle,
    circle_polygon,
    clip,
    cross,
    nonzero,
    polygon_polygon,
    rotate,
    turn_left,
)

DT = wp.constant(c.DT)
BIAS = wp.constant(c.CONTACT_BIAS / c.DT)
SLOP = wp.constant(c.PENETRATION_SLOP)
MARGIN = wp.constant(1.0e-3)  # slack of the bounding boxes [m]: far above rounding, so a box never hides a contact


@wp.func
def wrench(arm: wp.vec2, impulse: wp.vec2) -> wp.vec3:
    return wp.vec3(impulse[0], impulse[1], cross(arm, impulse))


@wp.func
def speed_at(twist: wp.vec3, arm: wp.vec2) -> wp.vec2:
    return wp.vec2(twist[0], twist[1]) + twist[2] * turn_left(arm)


@wp.func
def inverse_mass_along(response: wp.vec3, arm: wp.vec2, direction: wp.vec2) -> float:
    across = wp.dot(arm, direction)
    return response[0] + response[2] * (wp.dot(arm, arm) - across * across)


@wp.func
def sign(x: float) -> float:
    if x > 0.0:
        return 1.0
    if x < 0.0:
        return -1.0
    return 0.0


@wp.struct
class Push:
    """One iteration of one contact: accumulated impulses, and how both twists change."""

    normal: float
    tangent: float
    twist_a: wp.vec3
    twist_b: wp.vec3


@wp.func
def solve_contact(
    normal: wp.vec2,
    target: float,
    mu: float,
    acc_normal: float,
    acc_tangent: float,
    r_a: wp.vec2,
    r_b: wp.vec2,
    twist_a: wp.vec3,
    twist_b: wp.vec3,
    response_a: wp.vec3,
    response_b: wp.vec3,
) -> Push:
    """``contact_solver.solve``; ``target`` is the bias velocity less the restitution target."""
    push = Push()
    speed = wp.dot(speed_at(twist_b, r_b) - speed_at(twist_a, r_a), normal)
    mass = inverse_mass_along(response_a, r_a, normal) + inverse_mass_along(response_b, r_b, normal)
    push.normal = acc_normal + (target - speed) / nonzero(mass)
    if push.normal < 0.0:
        push.normal = 0.0
    impulse = (push.normal - acc_normal) * normal
    push.twist_a = -wp.cw_mul(response_a, wrench(r_a, impulse))
    push.twist_b = wp.cw_mul(response_b, wrench(r_b, impulse))

    tangent = -turn_left(normal)
    speed = wp.dot(speed_at(twist_b + push.twist_b, r_b) - speed_at(twist_a + push.twist_a, r_a), tangent)
    mass = inverse_mass_along(response_a, r_a, tangent) + inverse_mass_along(response_b, r_b, tangent)
    limit = mu * push.normal
    push.tangent = clip(acc_tangent - speed / nonzero(mass), -limit, limit)
    impulse = (push.tangent - acc_tangent) * tangent
    push.twist_a -= wp.cw_mul(response_a, wrench(r_a, impulse))
    push.twist_b += wp.cw_mul(response_b, wrench(r_b, impulse))
    return push


@functools.cache
def build_kernel(size: Size, padding_fault: bool):
    """The kernel for one size and solver behaviour. Launched over scenes; all arrays have the scene as first axis."""
    polygons, bodies, joints, thrusters = size.polygons, size.bodies, size.joints, size.thrusters
    statics = c.STATIC_POLYGONS
    n_pp, _, n_cp, n_cc = (len(pairs) for pairs in size.pairs)
    g_pp, _, g_cp, g_cc = (max(1, size.groups(kind)) for kind in range(4))
    forgets_pp, forgets_cp, forgets_cc = (
        padding_fault and n % c.SOLVER_GROUP != 0 for n in (n_pp, n_cp, n_cc)
    )
    contacts = size.contacts
    second, cp, cc = n_pp, 2 * n_pp, 2 * n_pp + n_cp
    iterations = c.SOLVER_ITERATIONS
    slots = 4 * polygons

    @wp.kernel(module="unique", enable_backward=False, module_options={"max_unroll": 0})
    def step_kernel(
        frames: int,
        # the level
        active: wp.array2d(dtype=wp.bool),
        local: wp.array3d(dtype=wp.vec2),
        n_vertices: wp.array2d(dtype=int),
        radius: wp.array2d(dtype=float),
        inverse_mass: wp.array2d(dtype=float),
        inverse_inertia: wp.array2d(dtype=float),
        friction: wp.array2d(dtype=float),
        restitution: wp.array2d(dtype=float),
        collision_mode: wp.array2d(dtype=int),
        role: wp.array2d(dtype=int),
        joint_active: wp.array2d(dtype=wp.bool),
        joint_a: wp.array2d(dtype=int),
        joint_b: wp.array2d(dtype=int),
        joint_anchor_a: wp.array2d(dtype=wp.vec2),
        joint_anchor_b: wp.array2d(dtype=wp.vec2),
        joint_fixed: wp.array2d(dtype=wp.bool),
        joint_rotation: wp.array2d(dtype=float),
        joint_limited: wp.array2d(dtype=wp.bool),
        joint_min: wp.array2d(dtype=float),
        joint_max: wp.array2d(dtype=float),
        motor_on: wp.array2d(dtype=wp.bool),
        motor_speed: wp.array2d(dtype=float),
        motor_power: wp.array2d(dtype=float),
        thruster_active: wp.array2d(dtype=wp.bool),
        thruster_body: wp.array2d(dtype=int),
        thruster_position: wp.array2d(dtype=wp.vec2),
        thruster_rotation: wp.array2d(dtype=float),
        thruster_power: wp.array2d(dtype=float),
        gravity: wp.array(dtype=wp.vec2),
        # its state, and the action
        position_in: wp.array2d(dtype=wp.vec2),
        rotation_in: wp.array2d(dtype=float),
        velocity_in: wp.array2d(dtype=wp.vec2),
        angular_velocity_in: wp.array2d(dtype=float),
        joint_impulse_in: wp.array2d(dtype=wp.vec2),
        joint_angular_in: wp.array2d(dtype=float),
        contact_active_in: wp.array2d(dtype=wp.bool),
        contact_normal_in: wp.array2d(dtype=float),
        contact_tangent_in: wp.array2d(dtype=float),
        component: wp.array2d(dtype=int),
        motor: wp.array2d(dtype=float),
        thruster: wp.array2d(dtype=float),
        # the next state, and what the frames showed
        position_out: wp.array2d(dtype=wp.vec2),
        rotation_out: wp.array2d(dtype=float),
        velocity_out: wp.array2d(dtype=wp.vec2),
        angular_velocity_out: wp.array2d(dtype=float),
        joint_impulse_out: wp.array2d(dtype=wp.vec2),
        joint_angular_out: wp.array2d(dtype=float),
        contact_active_out: wp.array2d(dtype=wp.bool),
        contact_normal_out: wp.array2d(dtype=float),
        contact_tangent_out: wp.array2d(dtype=float),
        touch_out: wp.array2d(dtype=int),
        distance_out: wp.array2d(dtype=float),
    ):
        scene = wp.tid()
        position = wp.zeros(shape=bodies, dtype=wp.vec2)
        angle = wp.zeros(shape=bodies, dtype=float)
        cs = wp.zeros(shape=bodies, dtype=wp.vec2)
        twist = wp.zeros(shape=bodies, dtype=wp.vec3)
        change = wp.zeros(shape=bodies, dtype=wp.vec3)
        response = wp.zeros(shape=bodies, dtype=wp.vec3)
        low = wp.zeros(shape=bodies, dtype=wp.vec2)
        high = wp.zeros(shape=bodies, dtype=wp.vec2)
        vertices = wp.zeros(shape=slots, dtype=wp.vec2)
        world = wp.zeros(shape=slots, dtype=wp.vec2)

        r_a = wp.zeros(shape=joints, dtype=wp.vec2)
        r_b = wp.zeros(shape=joints, dtype=wp.vec2)
        joint_angle = wp.zeros(shape=joints, dtype=float)
        joint_beyond = wp.zeros(shape=joints, dtype=float)
        joint_impulse = wp.zeros(shape=joints, dtype=wp.vec2)
        joint_angular = wp.zeros(shape=joints, dtype=float)

        c_slot = wp.zeros(shape=contacts, dtype=int)
        c_a = wp.zeros(shape=contacts, dtype=int)
        c_b = wp.zeros(shape=contacts, dtype=int)
        c_solved = wp.zeros(shape=contacts, dtype=int)
        c_normal = wp.zeros(shape=contacts, dtype=wp.vec2)
        c_point = wp.zeros(shape=contacts, dtype=wp.vec2)
        c_target = wp.zeros(shape=contacts, dtype=float)
        c_mu = wp.zeros(shape=contacts, dtype=float)
        acc_normal = wp.zeros(shape=contacts, dtype=float)
        acc_tangent = wp.zeros(shape=contacts, dtype=float)

        for i in range(bodies):
            position[i] = position_in[scene, i]
            angle[i] = rotation_in[scene, i]
            velocity = velocity_in[scene, i]
            twist[i] = wp.vec3(velocity[0], velocity[1], angular_velocity_in[scene, i])
            response[i] = wp.vec3(inverse_mass[scene, i], inverse_mass[scene, i], inverse_inertia[scene, i])
        for i in range(polygons):
            for j in range(4):
                vertices[4 * i + j] = local[scene, i, j]
        for j in range(joints):
            joint_impulse[j] = joint_impulse_in[scene, j]
            joint_angular[j] = joint_angular_in[scene, j]

        for f in range(frames):
            # Gravity, poses, bounding boxes.
            fall = gravity[scene] * DT
            for i in range(bodies):
                if response[i][0] != 0.0:
                    twist[i] = twist[i] + wp.vec3(fall[0], fall[1], 0.0)
                cs[i] = wp.vec2(wp.cos(angle[i]), wp.sin(angle[i]))
                lo = position[i]
                hi = position[i]
                if i < polygons:
                    for j in range(4):
                        corner = rotate(cs[i], vertices[4 * i + j]) + position[i]
                        world[4 * i + j] = corner
                        lo = wp.min(lo, corner)
                        hi = wp.max(hi, corner)
                else:
                    r = radius[scene, i]
                    lo = lo - wp.vec2(r, r)
                    hi = hi + wp.vec2(r, r)
                low[i] = lo - wp.vec2(MARGIN, MARGIN)
                high[i] = hi + wp.vec2(MARGIN, MARGIN)

            # Contacts, in pair order.
            touched = int(0)
            n_active_pp = int(0)
            n_active_cp = int(0)
            n_active_cc = int(0)
            slot = int(-1)
            last_pp = int(-1)
            last_cp = int(-1)
            last_cc = int(-1)
            for kind in range(3):
                a_begin = int(0)
                a_end = int(polygons)
                if kind > 0:
                    a_begin = polygons
                    a_end = bodies
                for a in range(a_begin, a_end):
                    b_begin = wp.max(a + 1, statics)
                    b_end = int(polygons)
                    if kind == 1:
                        b_begin = 0
                    if kind == 2:
                        b_begin = a + 1
                        b_end = bodies
                    for b in range(b_begin, b_end):
                        slot += 1
                        near = active[scene, a] and active[scene, b]
                        near = near and low[a][0] < high[b][0] and low[b][0] < high[a][0]
                        near = near and low[a][1] < high[b][1] and low[b][1] < high[a][1]
                        near = near and can_touch(collision_mode[scene, a], collision_mode[scene, b])
                        if near:
                            touch = circle_circle(position[a], radius[scene, a], position[b], radius[scene, b])
                            if kind == 0:
                                touch = polygon_polygon(
                                    vertices, world, position[a], cs[a], a, n_vertices[scene, a],
                                    position[b], cs[b], b, n_vertices[scene, b],
                                )  # fmt: skip
                            if kind == 1:
                                touch = circle_polygon(
                                    position[a], radius[scene, a], position[b], cs[b], vertices, 4 * b, n_vertices[scene, b]
                                )
                            if touch.active:
                                at = int(0)
                                stored = int(slot)
                                if kind == 0:
                                    at = n_active_pp
                                    n_active_pp += 1
                                    if slot == n_pp - 1:
                                        last_pp = at
                                elif kind == 1:
                                    at = cp + n_active_cp
                                    n_active_cp += 1
                                    stored = slot + n_pp
                                    if stored == cc - 1:
                                        last_cp = at
                                else:
                                    at = cc + n_active_cc
                                    n_active_cc += 1
                                    stored = slot + n_pp
                                    if stored == contacts - 1:
                                        last_cc = at
                                roles = role[scene, a] * role[scene, b]
                                if roles == 2:
                                    touched = touched | 1
                                if roles == 3:
                                    touched = touched | 2
                                solved = int(0)
                                movable = response[a][0] != 0.0 or response[b][0] != 0.0
                                if movable and component[scene, a] != component[scene, b]:
                                    solved = 1
                                bounce = wp.min(restitution[scene, a], restitution[scene, b])
                                bias = BIAS * wp.max(0.0, touch.penetration - SLOP)
                                f_a = friction[scene, a] * wp.static(c.BASE_FRICTION)
                                f_b = friction[scene, b] * wp.static(c.BASE_FRICTION)
                                mu = wp.sqrt(f_a * f_a + f_b * f_b)
                                points = int(1)
                                if kind == 0:
                                    points = 2
                                for p in range(points):
                                    point = touch.point
                                    i = int(at)
                                    k = int(stored)
                                    exists = int(1)
                                    if p == 1:
                                        point = touch.second_point
                                        i = at + second
                                        k = stored + n_pp
                                        if not touch.second:
                                            exists = 0
                                    c_slot[i] = -1
                                    c_solved[i] = 0
                                    acc_normal[i] = 0.0
                                    acc_tangent[i] = 0.0
                                    c_a[i] = a
                                    c_b[i] = b
                                    if exists == 1:
                                        c_slot[i] = k
                                        c_solved[i] = solved
                                        c_normal[i] = touch.normal
                                        c_point[i] = point
                                        c_mu[i] = mu
                                        v_a = speed_at(twist[a], point - position[a])
                                        v_b = speed_at(twist[b], point - position[b])
                                        c_target[i] = bias - wp.dot(v_b - v_a, touch.normal) * bounce
                                        if f == 0:
                                            if contact_active_in[scene, k]:
                                                acc_normal[i] = contact_normal_in[scene, k]
                                                acc_tangent[i] = contact_tangent_in[scene, k]
                                        elif contact_active_out[scene, k]:
                                            acc_normal[i] = contact_normal_out[scene, k]
                                            acc_tangent[i] = contact_tangent_out[scene, k]

            # Joints: what stays the same during the frame; motors, all from the same velocities.
            for j in range(joints):
                a = joint_a[scene, j]
                b = joint_b[scene, j]
                r_a[j] = rotate(cs[a], joint_anchor_a[scene, j])
                r_b[j] = rotate(cs[b], joint_anchor_b[scene, j])
                turned = angle[b] - angle[a] - joint_rotation[scene, j]
                joint_angle[j] = turned
                beyond = turned - clip(turned, joint_min[scene, j], joint_max[scene, j])
                if not joint_limited[scene, j]:
                    beyond = 0.0
                joint_beyond[j] = beyond
                resolved = joint_active[scene, j] and active[scene, a] and active[scene, b]
                resolved = resolved and (response[a][0] != 0.0 or response[b][0] != 0.0)
                action = motor[scene, j]
                if resolved and motor_on[scene, j] and not joint_fixed[scene, j] and action != 0.0:
                    lag = twist[b][2] - twist[a][2]
                    lag -= motor_speed[scene, j] * action * wp.static(c.MOTOR_SPEED)
                    strength = float(1.0)
                    margin = wp.static(c.MOTOR_LIMIT_MARGIN)
                    if joint_limited[scene, j]:
                        inner = wp.max(turned, joint_min[scene, j] + margin)
                        off = turned - wp.min(inner, joint_max[scene, j] - margin)
                        if off != 0.0 and sign(off) == sign(action):
                            strength = wp.max(0.0, 1.0 - wp.abs(off) / margin)
                    power = wp.static(c.MOTOR_POWER) * motor_power[scene, j] * DT * strength
                    power = power / nonzero(response[a][2] + response[b][2])
                    power = power * wp.tanh(lag * wp.static(c.MOTOR_DECAY))
                    change[a] = change[a] + wp.vec3(0.0, 0.0, response[a][2] * power)
                    change[b] = change[b] - wp.vec3(0.0, 0.0, response[b][2] * power)
            for j in range(joints):
                a = joint_a[scene, j]
                b = joint_b[scene, j]
                twist[a] = twist[a] + change[a]
                change[a] = wp.vec3(0.0, 0.0, 0.0)
                twist[b] = twist[b] + change[b]
                change[b] = wp.vec3(0.0, 0.0, 0.0)

            # Thrusters.
            for t in range(thrusters):
                if thruster_active[scene, t]:
                    i = thruster_body[scene, t]
                    heading = thruster_rotation[scene, t] + angle[i]
                    force = thruster_power[scene, t] * wp.static(c.THRUSTER_FORCE) * thruster[scene, t] * DT
                    impulse = force * wp.vec2(wp.cos(heading), wp.sin(heading))
                    arm = rotate(cs[i], thruster_position[scene, t])
                    twist[i] = twist[i] + wp.cw_mul(response[i], wrench(arm, impulse))

            # Warm start: contacts, then joints.
            for kind in range(4):
                begin = int(0)
                count = int(n_active_pp)
                if kind == 1:
                    begin = second
                if kind == 2:
                    begin = cp
                    count = n_active_cp
                if kind == 3:
                    begin = cc
                    count = n_active_cc
                for i in range(begin, begin + count):
                    if c_solved[i] == 1 and acc_normal[i] != 0.0:
                        a = c_a[i]
                        b = c_b[i]
                        impulse = acc_normal[i] * c_normal[i] - acc_tangent[i] * turn_left(c_normal[i])
                        twist[a] = twist[a] - wp.cw_mul(response[a], wrench(c_point[i] - position[a], impulse))
                        twist[b] = twist[b] + wp.cw_mul(response[b], wrench(c_point[i] - position[b], impulse))
            for j in range(joints):
                a = joint_a[scene, j]
                b = joint_b[scene, j]
                resolved = joint_active[scene, j] and active[scene, a] and active[scene, b]
                resolved = resolved and (response[a][0] != 0.0 or response[b][0] != 0.0)
                if resolved:
                    turn = wp.vec3(0.0, 0.0, joint_angular[j])
                    twist[a] = twist[a] + wp.cw_mul(response[a], wrench(r_a[j], joint_impulse[j]) + turn)
                    twist[b] = twist[b] - wp.cw_mul(response[b], wrench(r_b[j], joint_impulse[j]) + turn)
                else:
                    joint_impulse[j] = wp.vec2(0.0, 0.0)
                    joint_angular[j] = 0.0

            for _iteration in range(iterations):
                # Joints, one after the other; they move positions too.
                for j in range(joints):
                    a = joint_a[scene, j]
                    b = joint_b[scene, j]
                    resolved = joint_active[scene, j] and active[scene, a] and active[scene, b]
                    m_a = response[a]
                    m_b = response[b]
                    if resolved and (m_a[0] != 0.0 or m_b[0] != 0.0):
                        point_a = position[a] + r_a[j]
                        point_b = position[b] + r_b[j]
                        drift = point_b - point_a
                        weight_a = 1.0 / nonzero(m_a[0])
                        weight_b = 1.0 / nonzero(m_b[0])
                        point = (point_a * weight_a + point_b * weight_b) / (weight_a + weight_b)
                        if m_a[0] == 0.0:
                            point = point_a
                        elif m_b[0] == 0.0:
                            point = point_b
                        slip = speed_at(twist[b], point - position[b]) - speed_at(twist[a], point - position[a])
                        direction = slip / nonzero(wp.length(slip))
                        x_a = cross(r_a[j], direction)
                        x_b = cross(r_b[j], direction)
                        mass = nonzero(m_a[0] + m_b[0])
                        effective = mass + (x_a * x_a * m_a[2] + x_b * x_b * m_b[2])
                        impulse = (slip + wp.static(c.JOINT_BIAS_VELOCITY) * drift) / nonzero(effective)
                        impulse = impulse * wp.static(c.JOINT_STIFFNESS)
                        twist_a = twist[a] + wp.cw_mul(m_a, wrench(r_a[j], impulse))
                        twist_b = twist[b] - wp.cw_mul(m_b, wrench(r_b[j], impulse))
                        move = drift / mass * wp.static(c.JOINT_BIAS_POSITION)
                        position[a] = position[a] + move * m_a[0]
                        position[b] = position[b] - move * m_b[0]

                        spin = twist_b[2] - twist_a[2]
                        angular = float(0.0)
                        total = float(0.0)
                        if joint_fixed[scene, j]:
                            angular = spin + wp.static(c.FIXED_JOINT_BIAS) * joint_angle[j]
                            angular = angular / nonzero(m_a[2] + m_b[2])
                            total = joint_angular[j] + angular
                        elif joint_beyond[j] != 0.0:
                            pull = wp.static(c.JOINT_LIMIT_BIAS) * joint_beyond[j]
                            if sign(spin) == sign(pull):
                                angular = (spin + pull) / nonzero(m_a[2] + m_b[2])
                        twist[a] = twist_a + wp.vec3(0.0, 0.0, m_a[2] * angular)
                        twist[b] = twist_b - wp.vec3(0.0, 0.0, m_b[2] * angular)
                        joint_impulse[j] = joint_impulse[j] + impulse
                        joint_angular[j] = total

                # Contacts: kinds in order, groups in order, all of a group from the velocities before it.
                for kind in range(4):
                    begin = int(0)
                    count = int(n_active_pp)
                    inactive = n_pp - n_active_pp
                    groups = int(g_pp)
                    last = int(-1)
                    if wp.static(forgets_pp):
                        last = last_pp
                    if kind == 1:
                        begin = second
                        if last >= 0:
                            last = last + second
                    if kind == 2:
                        begin = cp
                        count = n_active_cp
                        inactive = n_cp - n_active_cp
                        groups = g_cp
                        last = -1
                        if wp.static(forgets_cp):
                            last = last_cp
                    if kind == 3:
                        begin = cc
                        count = n_active_cc
                        inactive = n_cc - n_active_cc
                        groups = g_cc
                        last = -1
                        if wp.static(forgets_cc):
                            last = last_cc
                    if count > 0:
                        for g in range(groups):
                            # Ranks inactive, inactive + 1, ... are active; those with rank % groups == g are ours.
                            first = (g + groups - inactive % groups) % groups
                            i = begin + first
                            while i < begin + count:
                                if c_solved[i] == 1:
                                    a = c_a[i]
                                    b = c_b[i]
                                    push = solve_contact(
                                        c_normal[i], c_target[i], c_mu[i], acc_normal[i], acc_tangent[i],
                                        c_point[i] - position[a], c_point[i] - position[b],
                                        twist[a], twist[b], response[a], response[b],
                                    )  # fmt: skip
                                    acc_normal[i] = push.normal
                                    acc_tangent[i] = push.tangent
                                    change[a] = change[a] + push.twist_a
                                    change[b] = change[b] + push.twist_b
                                i += groups
                            i = begin + first
                            while i < begin + count:
                                a = c_a[i]
                                b = c_b[i]
                                twist[a] = twist[a] + change[a]
                                change[a] = wp.vec3(0.0, 0.0, 0.0)
                                twist[b] = twist[b] + change[b]
                                change[b] = wp.vec3(0.0, 0.0, 0.0)
                                i += groups
                            if last >= 0:
                                acc_normal[last] = 0.0
                                acc_tangent[last] = 0.0

            # Semi-implicit Euler, clips.
            for i in range(bodies):
                v = twist[i]
                moved = position[i] + wp.vec2(v[0], v[1]) * DT
                limit = wp.static(c.CLIP_POSITION)
                position[i] = wp.vec2(clip(moved[0], -limit, limit), clip(moved[1], -limit, limit))
                angle[i] = angle[i] + v[2] * DT
                limit_v = wp.static(c.CLIP_VELOCITY)
                limit_w = wp.static(c.CLIP_ANGULAR_VELOCITY)
                twist[i] = wp.vec3(
                    clip(v[0], -limit_v, limit_v), clip(v[1], -limit_v, limit_v), clip(v[2], -limit_w, limit_w)
                )

            # What the frame showed.
            apart = float(0.0)
            for a in range(bodies):
                if active[scene, a] and role[scene, a] != 0:
                    for b in range(wp.max(a + 1, statics), bodies):
                        if active[scene, b] and role[scene, a] * role[scene, b] == 2:
                            apart += wp.length(position[a] - position[b])
            touch_out[scene, f] = touched
            distance_out[scene, f] = apart

            # Contacts to remember.
            for k in range(contacts):
                contact_active_out[scene, k] = False
                contact_normal_out[scene, k] = 0.0
                contact_tangent_out[scene, k] = 0.0
            for kind in range(4):
                begin = int(0)
                count = int(n_active_pp)
                if kind == 1:
                    begin = second
                if kind == 2:
                    begin = cp
                    count = n_active_cp
                if kind == 3:
                    begin = cc
                    count = n_active_cc
                for i in range(begin, begin + count):
                    k = c_slot[i]
                    if k >= 0:
                        contact_active_out[scene, k] = True
                        if c_solved[i] == 1:
                            contact_normal_out[scene, k] = acc_normal[i]
                            contact_tangent_out[scene, k] = acc_tangent[i]

        for i in range(bodies):
            v = twist[i]
            position_out[scene, i] = position[i]
            rotation_out[scene, i] = angle[i]
            velocity_out[scene, i] = wp.vec2(v[0], v[1])
            angular_velocity_out[scene, i] = v[2]
        for j in range(joints):
            joint_impulse_out[scene, j] = joint_impulse[j]
            joint_angular_out[scene, j] = joint_angular[j]

    return step_kernel
