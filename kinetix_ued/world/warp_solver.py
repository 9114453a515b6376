"""One joint, one contact, one motor: the formulas of joints.py and contact_solver.py as Warp functions."""

from __future__ import annotations

import warp as wp

from . import constants as c
from .warp_geometry import clip, cross, nonzero, turn_left

DT = wp.constant(c.DT)


@wp.struct
class ContactPush:
    """One iteration of one contact: accumulated impulses, and how both twists change."""

    normal: float
    tangent: float
    twist_a: wp.vec3
    twist_b: wp.vec3


@wp.struct
class JointPush:
    """One iteration of one joint: impulses to add, both new twists, and the way towards each other."""

    impulse: wp.vec2
    angular: float
    twist_a: wp.vec3
    twist_b: wp.vec3
    move: wp.vec2


@wp.func
def wrench(arm: wp.vec2, impulse: wp.vec2) -> wp.vec3:
    return wp.vec3(impulse[0], impulse[1], cross(arm, impulse))


@wp.func
def speed_at(twist: wp.vec3, arm: wp.vec2) -> wp.vec2:
    return wp.vec2(twist[0] - twist[2] * arm[1], twist[1] + twist[2] * arm[0])


@wp.func
def inverse_mass_along(response: wp.vec3, arm: wp.vec2, direction: wp.vec2) -> float:
    across = wp.dot(arm, direction)
    return response[0] + response[2] * (wp.dot(arm, arm) - across * across)


@wp.func
def same_sign(x: float, y: float) -> bool:
    return (x > 0.0 and y > 0.0) or (x < 0.0 and y < 0.0) or (x == 0.0 and y == 0.0)


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
) -> ContactPush:
    """``contact_solver.solve``; ``target`` is the bias velocity less the restitution target."""
    push = ContactPush()
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


@wp.func
def solve_joint(
    fixed: bool,
    angle: float,
    beyond: float,
    r_a: wp.vec2,
    r_b: wp.vec2,
    position_a: wp.vec2,
    position_b: wp.vec2,
    twist_a: wp.vec3,
    twist_b: wp.vec3,
    response_a: wp.vec3,
    response_b: wp.vec3,
) -> JointPush:
    """``joints.solve``; ``beyond`` is 0 for a joint without limits."""
    push = JointPush()
    point_a = position_a + r_a
    point_b = position_b + r_b
    drift = point_b - point_a
    weight_a = 1.0 / nonzero(response_a[0])
    weight_b = 1.0 / nonzero(response_b[0])
    point = (point_a * weight_a + point_b * weight_b) / (weight_a + weight_b)
    if response_a[0] == 0.0:
        point = point_a
    elif response_b[0] == 0.0:
        point = point_b
    slip = speed_at(twist_b, point - position_b) - speed_at(twist_a, point - position_a)
    direction = slip / nonzero(wp.length(slip))
    x_a = cross(r_a, direction)
    x_b = cross(r_b, direction)
    inverse_mass = nonzero(response_a[0] + response_b[0])
    effective = inverse_mass + (x_a * x_a * response_a[2] + x_b * x_b * response_b[2])
    push.impulse = (slip + wp.static(c.JOINT_BIAS_VELOCITY) * drift) / nonzero(effective)
    push.impulse = push.impulse * wp.static(c.JOINT_STIFFNESS)
    push.twist_a = twist_a + wp.cw_mul(response_a, wrench(r_a, push.impulse))
    push.twist_b = twist_b - wp.cw_mul(response_b, wrench(r_b, push.impulse))
    push.move = drift / inverse_mass * wp.static(c.JOINT_BIAS_POSITION)

    spin = push.twist_b[2] - push.twist_a[2]
    angular = float(0.0)
    if fixed:
        angular = spin + wp.static(c.FIXED_JOINT_BIAS) * angle
    else:
        pull = wp.static(c.JOINT_LIMIT_BIAS) * beyond
        if beyond != 0.0 and same_sign(spin, pull):
            angular = spin + pull
    push.angular = angular / nonzero(response_a[2] + response_b[2])
    push.twist_a += wp.vec3(0.0, 0.0, response_a[2] * push.angular)
    push.twist_b -= wp.vec3(0.0, 0.0, response_b[2] * push.angular)
    return push


@wp.func
def motor_impulse(
    action: float,
    speed: float,
    power: float,
    limited: bool,
    angle: float,
    low: float,
    high: float,
    spin: float,
    inverse_inertia: float,
) -> float:
    """Angular impulse of a motor; it fades towards a limit, unless it drives away from it. See ``joints.run_motors``."""
    strength = float(1.0)
    margin = wp.static(c.MOTOR_LIMIT_MARGIN)
    if limited:
        inner = wp.min(wp.max(angle, low + margin), high - margin)
        off = angle - inner
        if off != 0.0 and same_sign(off, action):
            strength = wp.max(0.0, 1.0 - wp.abs(off) / margin)
    impulse = wp.static(c.MOTOR_POWER) * power * DT * strength / nonzero(inverse_inertia)
    return impulse * wp.tanh((spin - speed * action * wp.static(c.MOTOR_SPEED)) * wp.static(c.MOTOR_DECAY))
