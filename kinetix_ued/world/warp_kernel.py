"""The kernel of the warp engine: whole frames of one scene in one thread, over the contacts that are active.

Same order and formulas as step_jax.py. A scene lives in local variables for as many frames as an action lasts. Contacts
are a short list instead of K slots, each kind in its own stretch of it, in pair order: a contact's rank among its kind
(``contact_solver.group_kind``) is its place in the list plus the number of inactive pairs. The arguments of the kernel
are named in step_warp.py.

The body is one function on purpose. Its working memory are vectors and matrices, which Warp passes to functions by
value; local arrays could be passed, but carry shape and strides along and made the same kernel half as fast.
"""

from __future__ import annotations

import functools

import warp as wp

from . import constants as c
from .size import Size
from .warp_geometry import (
    FAR,
    Corners,
    Touch,
    choose_face,
    circle_circle,
    circle_polygon,
    clip,
    measure_edges,
    rotate,
    separating_axis,
    turn_left,
)
from .warp_solver import DT, motor_impulse, solve_contact, solve_joint, speed_at, wrench

MARGIN = wp.constant(1.0e-3)
"""Slack of the bounding boxes [m]: far above rounding, so that a box never hides a contact."""

BIAS = wp.constant(c.CONTACT_BIAS / c.DT)
SLOP = wp.constant(c.PENETRATION_SLOP)


@functools.cache
def build_kernel(size: Size, padding_fault: bool):
    """The kernel for one size and solver behaviour. Launched over scenes; all arrays have the scene as first axis."""
    polygons, bodies, joints, thrusters, contacts = size.polygons, size.bodies, size.joints, size.thrusters, size.contacts
    statics, iterations = c.STATIC_POLYGONS, c.SOLVER_ITERATIONS
    n_pp, _, n_cp, n_cc = (len(pairs) for pairs in size.pairs)
    forgets = [padding_fault and len(pairs) % c.SOLVER_GROUP != 0 for pairs in size.pairs]
    # By kind of contact, in the order of Size.pairs:
    kind_first = wp.types.vector(length=4, dtype=int)(0, n_pp, 2 * n_pp, 2 * n_pp + n_cp)
    kind_pairs = wp.types.vector(length=4, dtype=int)(n_pp, n_pp, n_cp, n_cc)
    kind_groups = wp.types.vector(length=4, dtype=int)(*(size.groups(kind) for kind in range(4)))
    kind_forgets = wp.types.vector(length=4, dtype=int)(*(int(x) for x in forgets))

    def local(length: int, width: int = 1, dtype: type = float):
        """Type of a local variable with one row for each body, joint or contact."""
        if width == 1:
            return wp.types.vector(length=length, dtype=dtype)
        return wp.types.matrix(shape=(length, width), dtype=dtype)

    BodyFloat, BodyVec2, BodyVec3, BodyVec4 = (local(bodies, width) for width in (1, 2, 3, 4))
    JointFloat, JointVec2, JointInt = local(joints), local(joints, 2), local(joints, dtype=int)
    ContactFloat, ContactVec2, ContactInt = local(contacts), local(contacts, 2), local(contacts, dtype=int)

    @wp.kernel(module="unique", enable_backward=False, module_options={"max_unroll": 4})
    def step_kernel(
        frames: int,
        # the level
        active: wp.array2d(dtype=wp.bool),
        local_vertices: wp.array3d(dtype=wp.vec2),
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
        first = kind_first
        pairs = kind_pairs
        group_counts = kind_groups
        forgetful = kind_forgets
        kinds = int(4)  # a variable, so that loops over kinds are not unrolled

        position = BodyVec2()
        angle = BodyFloat()
        cs = BodyVec2()
        twist = BodyVec3()
        change = BodyVec3()
        response = BodyVec3()
        box = BodyVec4()

        corner = wp.zeros(shape=polygons, dtype=Corners)
        world = wp.zeros(shape=polygons, dtype=Corners)
        normal = wp.zeros(shape=polygons, dtype=Corners)
        length = wp.zeros(shape=polygons, dtype=wp.vec4)
        reach = wp.zeros(shape=polygons, dtype=wp.vec4)

        j_resolved = JointInt()
        r_a = JointVec2()
        r_b = JointVec2()
        j_angle = JointFloat()
        j_beyond = JointFloat()
        j_impulse = JointVec2()
        j_angular = JointFloat()

        c_slot = ContactInt()
        c_a = ContactInt()
        c_b = ContactInt()
        c_solved = ContactInt()
        c_normal = ContactVec2()
        c_point = ContactVec2()
        c_target = ContactFloat()
        c_mu = ContactFloat()
        acc_normal = ContactFloat()
        acc_tangent = ContactFloat()

        for i in range(bodies):
            velocity = velocity_in[scene, i]
            position[i] = position_in[scene, i]
            angle[i] = rotation_in[scene, i]
            twist[i] = wp.vec3(velocity[0], velocity[1], angular_velocity_in[scene, i])
            response[i] = wp.vec3(inverse_mass[scene, i], inverse_mass[scene, i], inverse_inertia[scene, i])
        for i in range(polygons):
            outline = Corners()
            for j in range(4):
                outline[j] = local_vertices[scene, i, j]
            corner[i] = outline
        for j in range(joints):
            a = joint_a[scene, j]
            b = joint_b[scene, j]
            if joint_active[scene, j] and active[scene, a] and active[scene, b]:
                if response[a][0] != 0.0 or response[b][0] != 0.0:
                    j_resolved[j] = 1
                    j_impulse[j] = joint_impulse_in[scene, j]
                    j_angular[j] = joint_angular_in[scene, j]

        for f in range(frames):
            fall = gravity[scene] * DT
            for i in range(bodies):
                if response[i][0] != 0.0:
                    twist[i] = twist[i] + wp.vec3(fall[0], fall[1], 0.0)
                cs[i] = wp.vec2(wp.cos(angle[i]), wp.sin(angle[i]))
                # Least x, y, -x, -y of the body; of an inactive one, near nothing.
                box[i] = wp.vec4(FAR, FAR, FAR, FAR)
                if active[scene, i]:
                    at = position[i]
                    grown = float(MARGIN)
                    least = wp.vec4(at[0], at[1], -at[0], -at[1])
                    if i >= polygons:
                        grown += radius[scene, i]
                    else:
                        outline = corner[i]
                        for j in range(4):
                            spot = rotate(cs[i], outline[j]) + at
                            outline[j] = spot
                            least = wp.min(least, wp.vec4(spot[0], spot[1], -spot[0], -spot[1]))
                        world[i] = outline
                    box[i] = least - wp.vec4(grown, grown, grown, grown)

            # Contacts, in pair order; a polygon pair takes a place in both of its stretches.
            touched = int(0)
            counts = wp.vec4i(0, 0, 0, 0)
            last = wp.vec4i(-1, -1, -1, -1)  # list place of each kind's last pair, if that forgets
            for kind in range(kinds):
                a_begin = int(0)
                a_end = int(polygons)
                if kind >= 2:
                    a_begin = polygons
                    a_end = bodies
                if kind == 1:  # second points come with the first
                    a_end = 0
                slot = int(first[kind]) - 1
                for a in range(a_begin, a_end):
                    b_begin = wp.max(a + 1, statics)
                    b_end = int(polygons)
                    if kind == 2:
                        b_begin = 0
                    if kind == 3:
                        b_begin = a + 1
                        b_end = bodies
                    box_a = box[a]
                    for b in range(b_begin, b_end):
                        slot += 1
                        box_b = box[b]
                        near = box_a[0] < -box_b[2] and box_b[0] < -box_a[2]
                        near = near and box_a[1] < -box_b[3] and box_b[1] < -box_a[3]
                        if near:
                            mode_a = collision_mode[scene, a]
                            mode_b = collision_mode[scene, b]
                            near = mode_a == 2 or mode_b == 2 or mode_a * mode_b > 0
                        if near:
                            touch = Touch()
                            if kind == 3:
                                touch = circle_circle(position[a], radius[scene, a], position[b], radius[scene, b])
                            else:
                                # Edges never change in the body's frame: measured when something first comes near.
                                n_b = n_vertices[scene, b]
                                if length[b][0] == 0.0:
                                    edges = measure_edges(corner[b], n_b)
                                    normal[b] = edges.normal
                                    length[b] = edges.length
                                    reach[b] = edges.reach
                                if kind == 2:
                                    touch = circle_polygon(
                                        position[a], radius[scene, a], position[b], cs[b], corner[b], normal[b],
                                        length[b], n_b,
                                    )  # fmt: skip
                                else:
                                    n_a = n_vertices[scene, a]
                                    if length[a][0] == 0.0:
                                        edges = measure_edges(corner[a], n_a)
                                        normal[a] = edges.normal
                                        length[a] = edges.length
                                        reach[a] = edges.reach
                                    axis_a = separating_axis(
                                        normal[a], reach[a], n_a, position[a], cs[a], world[b], n_b
                                    )
                                    if axis_a.separation < 0.0:
                                        axis_b = separating_axis(
                                            normal[b], reach[b], n_b, position[b], cs[b], world[a], n_a
                                        )
                                        if axis_b.separation < 0.0:
                                            outline_a = normal[a]
                                            outline_b = normal[b]
                                            touch = choose_face(
                                                axis_a, rotate(cs[a], outline_a[axis_a.edge]), world[a], n_a,
                                                axis_b, rotate(cs[b], outline_b[axis_b.edge]), world[b], n_b,
                                            )  # fmt: skip
                            if touch.active:
                                roles = role[scene, a] * role[scene, b]
                                if roles == 2:
                                    touched = touched | 1
                                if roles == 3:
                                    touched = touched | 2
                                solved = int(0)
                                if response[a][0] != 0.0 or response[b][0] != 0.0:
                                    if component[scene, a] != component[scene, b]:
                                        solved = 1
                                bounce = wp.min(restitution[scene, a], restitution[scene, b])
                                bias = BIAS * wp.max(0.0, touch.penetration - SLOP)
                                f_a = friction[scene, a] * wp.static(c.BASE_FRICTION)
                                f_b = friction[scene, b] * wp.static(c.BASE_FRICTION)
                                points = int(1)
                                if kind == 0:
                                    points = 2
                                for p in range(points):
                                    i = first[kind + p] + counts[kind]
                                    k = slot + p * n_pp
                                    point = touch.point
                                    if p == 1:
                                        point = touch.second_point
                                    if forgetful[kind] == 1 and slot + 1 == first[kind] + pairs[kind]:
                                        last[kind + p] = i
                                    c_a[i] = a
                                    c_b[i] = b
                                    c_slot[i] = -1
                                    c_solved[i] = 0
                                    acc_normal[i] = 0.0
                                    acc_tangent[i] = 0.0
                                    if p == 0 or touch.second:
                                        c_slot[i] = k
                                        c_solved[i] = solved
                                        c_normal[i] = touch.normal
                                        c_point[i] = point
                                        c_mu[i] = wp.sqrt(f_a * f_a + f_b * f_b)
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
                                counts[kind] = counts[kind] + 1
            counts[1] = counts[0]

            # Joints: what stays the same during the frame. Motors, all from the same velocities. Thrusters.
            for j in range(joints):
                if j_resolved[j] == 1:
                    a = joint_a[scene, j]
                    b = joint_b[scene, j]
                    r_a[j] = rotate(cs[a], joint_anchor_a[scene, j])
                    r_b[j] = rotate(cs[b], joint_anchor_b[scene, j])
                    turned = angle[b] - angle[a] - joint_rotation[scene, j]
                    j_angle[j] = turned
                    j_beyond[j] = 0.0
                    if joint_limited[scene, j]:
                        inside = wp.min(wp.max(turned, joint_min[scene, j]), joint_max[scene, j])
                        j_beyond[j] = turned - inside
                    action = motor[scene, j]
                    if motor_on[scene, j] and not joint_fixed[scene, j] and action != 0.0:
                        drive = motor_impulse(
                            action, motor_speed[scene, j], motor_power[scene, j], joint_limited[scene, j], turned,
                            joint_min[scene, j], joint_max[scene, j], twist[b][2] - twist[a][2],
                            response[a][2] + response[b][2],
                        )  # fmt: skip
                        change[a] = change[a] + wp.vec3(0.0, 0.0, response[a][2] * drive)
                        change[b] = change[b] - wp.vec3(0.0, 0.0, response[b][2] * drive)
            for i in range(bodies):
                twist[i] = twist[i] + change[i]
                change[i] = wp.vec3(0.0, 0.0, 0.0)
            for t in range(thrusters):
                if thruster_active[scene, t]:
                    i = thruster_body[scene, t]
                    heading = thruster_rotation[scene, t] + angle[i]
                    force = thruster_power[scene, t] * wp.static(c.THRUSTER_FORCE) * thruster[scene, t] * DT
                    thrust = force * wp.vec2(wp.cos(heading), wp.sin(heading))
                    arm = rotate(cs[i], thruster_position[scene, t])
                    twist[i] = twist[i] + wp.cw_mul(response[i], wrench(arm, thrust))

            # Warm start: contacts, then joints.
            for kind in range(kinds):
                for i in range(first[kind], first[kind] + counts[kind]):
                    if c_solved[i] == 1:
                        a = c_a[i]
                        b = c_b[i]
                        kept = acc_normal[i] * c_normal[i] - acc_tangent[i] * turn_left(c_normal[i])
                        twist[a] = twist[a] - wp.cw_mul(response[a], wrench(c_point[i] - position[a], kept))
                        twist[b] = twist[b] + wp.cw_mul(response[b], wrench(c_point[i] - position[b], kept))
            for j in range(joints):
                if j_resolved[j] == 1:
                    a = joint_a[scene, j]
                    b = joint_b[scene, j]
                    turn = wp.vec3(0.0, 0.0, j_angular[j])
                    twist[a] = twist[a] + wp.cw_mul(response[a], wrench(r_a[j], j_impulse[j]) + turn)
                    twist[b] = twist[b] - wp.cw_mul(response[b], wrench(r_b[j], j_impulse[j]) + turn)

            for _iteration in range(iterations):
                for j in range(joints):
                    if j_resolved[j] == 1:
                        a = joint_a[scene, j]
                        b = joint_b[scene, j]
                        fixed = joint_fixed[scene, j]
                        pull = solve_joint(
                            fixed, j_angle[j], j_beyond[j], r_a[j], r_b[j], position[a], position[b],
                            twist[a], twist[b], response[a], response[b],
                        )  # fmt: skip
                        position[a] = position[a] + pull.move * response[a][0]
                        position[b] = position[b] - pull.move * response[b][0]
                        twist[a] = pull.twist_a
                        twist[b] = pull.twist_b
                        j_impulse[j] = j_impulse[j] + pull.impulse
                        j_angular[j] = j_angular[j] + pull.angular
                        if not fixed:  # limits do not accumulate
                            j_angular[j] = 0.0

                # Contacts: kinds in order, groups in order, all of a group from the velocities before it. Ranks
                # inactive, inactive + 1, ... are active; those with rank % groups == g are group g's.
                for kind in range(kinds):
                    end = first[kind] + counts[kind]
                    groups = group_counts[kind]
                    inactive = pairs[kind] - counts[kind]
                    if counts[kind] == 0:
                        groups = 0
                    for g in range(groups):
                        begin = first[kind] + (g + groups - inactive % groups) % groups
                        alone = begin + groups >= end  # then nothing else reads the velocities before it
                        i = int(begin)
                        while i < end:
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
                                if alone:
                                    twist[a] = twist[a] + push.twist_a
                                    twist[b] = twist[b] + push.twist_b
                                else:
                                    change[a] = change[a] + push.twist_a
                                    change[b] = change[b] + push.twist_b
                            i += groups
                        if not alone:
                            i = begin
                            while i < end:
                                a = c_a[i]
                                b = c_b[i]
                                twist[a] = twist[a] + change[a]
                                change[a] = wp.vec3(0.0, 0.0, 0.0)
                                twist[b] = twist[b] + change[b]
                                change[b] = wp.vec3(0.0, 0.0, 0.0)
                                i += groups
                        if last[kind] >= 0:
                            acc_normal[last[kind]] = 0.0
                            acc_tangent[last[kind]] = 0.0

            # Semi-implicit Euler, clips.
            for i in range(bodies):
                v = twist[i]
                moved = position[i] + wp.vec2(v[0], v[1]) * DT
                position[i] = wp.vec2(
                    clip(moved[0], -wp.static(c.CLIP_POSITION), wp.static(c.CLIP_POSITION)),
                    clip(moved[1], -wp.static(c.CLIP_POSITION), wp.static(c.CLIP_POSITION)),
                )
                angle[i] = angle[i] + v[2] * DT
                twist[i] = wp.vec3(
                    clip(v[0], -wp.static(c.CLIP_VELOCITY), wp.static(c.CLIP_VELOCITY)),
                    clip(v[1], -wp.static(c.CLIP_VELOCITY), wp.static(c.CLIP_VELOCITY)),
                    clip(v[2], -wp.static(c.CLIP_ANGULAR_VELOCITY), wp.static(c.CLIP_ANGULAR_VELOCITY)),
                )

            # What the frame showed, and the contacts the next one remembers.
            apart = float(0.0)
            for a in range(bodies):
                if active[scene, a] and role[scene, a] != 0:
                    for b in range(wp.max(a + 1, statics), bodies):
                        if active[scene, b] and role[scene, a] * role[scene, b] == 2:
                            apart += wp.length(position[a] - position[b])
            touch_out[scene, f] = touched
            distance_out[scene, f] = apart
            for k in range(contacts):
                contact_active_out[scene, k] = False
                contact_normal_out[scene, k] = 0.0
                contact_tangent_out[scene, k] = 0.0
            for kind in range(kinds):
                for i in range(first[kind], first[kind] + counts[kind]):
                    k = c_slot[i]
                    if k >= 0:
                        contact_active_out[scene, k] = True
                        if c_solved[i] == 1:
                            contact_normal_out[scene, k] = acc_normal[i]
                            contact_tangent_out[scene, k] = acc_tangent[i]

        for i in range(bodies):
            position_out[scene, i] = position[i]
            rotation_out[scene, i] = angle[i]
            velocity_out[scene, i] = wp.vec2(twist[i][0], twist[i][1])
            angular_velocity_out[scene, i] = twist[i][2]
        for j in range(joints):
            joint_impulse_out[scene, j] = j_impulse[j]
            joint_angular_out[scene, j] = j_angular[j]

    return step_kernel
