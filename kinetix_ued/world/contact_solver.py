"""Contact impulses: keeping overlapping bodies apart, with friction, by sequential impulses over groups.

For a contact at point p with arms r = p - position, normal n (from a to b) and tangent t = n turned right:
    C    = -penetration                                 (must not be negative)
    Cdot = (v_b + w_b x r_b - v_a - w_a x r_a) . n
    J M^-1 J^T = 1/m_a + 1/m_b + (r_a x n)^2 / I_a + (r_b x n)^2 / I_b
The impulse of an iteration cancels Cdot up to a bias that pushes the remaining overlap out; what accumulates over the
iterations is clamped at zero, so contacts push and never pull. Friction does the same along t, clamped to mu times
the normal impulse. Twists are (vx, vy, w), so an impulse P at arm r is the wrench (Px, Py, r x P).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .constants import BASE_FRICTION, CONTACT_BIAS, DT, PENETRATION_SLOP, SOLVER_GROUP
from .contacts import Contact
from .geometry import cross, dot, nonzero, turn_left
from .level import Level
from .state import WorldState


class Impulses(NamedTuple):
    """Accumulated impulses [N s] of all contacts (K)."""

    normal: jax.Array
    tangent: jax.Array


def inverse_masses(level: Level) -> jax.Array:
    """Response (N, 3) of a body's twist to a wrench: 1/m, 1/m, 1/I."""
    return jnp.stack([level.inverse_mass, level.inverse_mass, level.inverse_inertia], axis=-1)


def wrench(arm: jax.Array, impulse: jax.Array) -> jax.Array:
    """An impulse (2) at an arm (2) as it acts on a twist (3)."""
    return jnp.stack([impulse[..., 0], impulse[..., 1], cross(arm, impulse)], axis=-1)


def resolvable(level: Level, state: WorldState, contacts: Contact) -> jax.Array:
    """Contacts (K) that are resolved: active, at least one body free to move, bodies not joined to each other."""
    a, b = level.size.contact_bodies.T
    movable = (level.inverse_mass[a] != 0) | (level.inverse_mass[b] != 0)
    return contacts.active & movable & (state.component[a] != state.component[b])


def warm_start(state: WorldState, contacts: Contact) -> Impulses:
    """Last frame's impulses, kept only where the contact was active then and is now."""
    keep = state.contact_active & contacts.active
    return Impulses(
        jnp.where(keep, state.contact_normal_impulse, 0.0), jnp.where(keep, state.contact_tangent_impulse, 0.0)
    )


def apply_warm_start(level: Level, position, twist, contacts: Contact, impulses: Impulses, resolved) -> jax.Array:
    """Twists after every contact has pushed with its kept impulses."""
    a, b = level.size.contact_bodies.T
    tangent = -turn_left(contacts.normal)
    impulse = impulses.normal[:, None] * contacts.normal + impulses.tangent[:, None] * tangent
    impulse = jnp.where(resolved[:, None], impulse, 0.0)
    response = inverse_masses(level)
    twist = twist.at[a].add(-response[a] * wrench(contacts.point - position[a], impulse))
    return twist.at[b].add(response[b] * wrench(contacts.point - position[b], impulse))


def friction_coefficients(level: Level) -> jax.Array:
    """Combined friction (K)."""
    friction = jnp.square(level.friction * BASE_FRICTION)
    a, b = level.size.contact_bodies.T
    return jnp.sqrt(friction[a] + friction[b])


def solve(contact: Contact, normal_impulse, tangent_impulse, mu, r_a, r_b, twist_a, twist_b, response_a, response_b):
    """One iteration of one contact: new accumulated impulses, and what they change of both twists."""

    def along(direction, twist_a, twist_b):
        """Impulse that would stop the relative motion along a direction."""
        v_a = twist_a[:2] + twist_a[2] * turn_left(r_a)
        v_b = twist_b[:2] + twist_b[2] * turn_left(r_b)
        inverse_mass = response_a[0] + response_b[0]
        inverse_mass += response_a[2] * (dot(r_a, r_a) - jnp.square(dot(r_a, direction)))
        inverse_mass += response_b[2] * (dot(r_b, r_b) - jnp.square(dot(r_b, direction)))
        return dot(v_b - v_a, direction), nonzero(inverse_mass)

    def push(impulse):
        return -response_a * wrench(r_a, impulse), response_b * wrench(r_b, impulse)

    speed, inverse_mass = along(contact.normal, twist_a, twist_b)
    bias = CONTACT_BIAS / DT * jnp.maximum(0.0, contact.penetration - PENETRATION_SLOP)
    normal_total = jnp.maximum(normal_impulse + (bias - speed - contact.restitution_target) / inverse_mass, 0.0)
    change_a, change_b = push((normal_total - normal_impulse) * contact.normal)

    tangent = -turn_left(contact.normal)
    speed, inverse_mass = along(tangent, twist_a + change_a, twist_b + change_b)
    limit = mu * normal_total
    tangent_total = jnp.clip(tangent_impulse - speed / inverse_mass, -limit, limit)
    friction_a, friction_b = push((tangent_total - tangent_impulse) * tangent)
    return normal_total, tangent_total, change_a + friction_a, change_b + friction_b


def group_kind(level: Level, kind: int, active: jax.Array) -> jax.Array:
    """Contacts of each group (groups, SOLVER_GROUP) of a kind; the kind's pair count where a place stays empty.

    Pairs are ranked by activity, inactive first, ties in order; group = rank % groups. So active contacts spread out,
    and those solved simultaneously are few.
    """
    pairs, groups = len(level.size.pairs[kind]), level.size.groups(kind)
    order = jnp.argsort(active, stable=True)
    padded = jnp.concatenate([order, jnp.full(groups * SOLVER_GROUP - pairs, pairs, order.dtype)])
    return padded.reshape(SOLVER_GROUP, groups).T


class ContactSolver(NamedTuple):
    """A frame's contacts, made ready for the iterations.

    Attributes:
        offsets: where each kind begins among the K contacts, static
        members: contacts of each group of each kind, from ``group_kind``
        contacts: (K)
        mu: combined friction (K)
        resolved: (K) bool
        response: inverse masses (N, 3)
    """

    offsets: tuple[int, ...]
    members: tuple[jax.Array, ...]
    contacts: Contact
    mu: jax.Array
    resolved: jax.Array
    response: jax.Array


def prepare(level: Level, state: WorldState, contacts: Contact) -> ContactSolver:
    counts = [len(pairs) for pairs in level.size.pairs]
    offsets = tuple(int(x) for x in np.cumsum([0, *counts[:-1]]))
    first, second = (contacts.active[o : o + counts[0]] for o in offsets[:2])
    activity = [first | second, first | second]  # a polygon pair is ranked once, for both its points
    activity += [contacts.active[o : o + n] for o, n in zip(offsets[2:], counts[2:], strict=True)]
    members = tuple(group_kind(level, kind, active) for kind, active in enumerate(activity))
    resolved = resolvable(level, state, contacts)
    return ContactSolver(offsets, members, contacts, friction_coefficients(level), resolved, inverse_masses(level))


def iterate(level: Level, solver: ContactSolver, position, twist, impulses: Impulses, padding_fault: bool):
    """One sweep over all contacts: kinds in order, groups in order, the contacts of a group simultaneously.

    With ``padding_fault`` the last pair of a kind that does not fill its groups loses its accumulated impulses after
    every group, as in the reference; otherwise every contact accumulates.
    """
    for kind, pairs in enumerate(level.size.pairs):
        if len(pairs) == 0:
            continue
        bodies_a, bodies_b = jnp.asarray(pairs).T
        last = solver.offsets[kind] + len(pairs) - 1
        loses_last = padding_fault and len(pairs) % SOLVER_GROUP != 0

        def solve_group(carry, member, kind=kind, a=bodies_a, b=bodies_b, last=last, loses_last=loses_last):
            twist, impulses = carry
            index = jnp.minimum(member, len(a) - 1)  # an empty place repeats the last pair, and is dropped below
            a, b, k = a[index], b[index], index + solver.offsets[kind]
            contact = jax.tree.map(lambda x: x[k], solver.contacts)
            normal, tangent, change_a, change_b = jax.vmap(solve)(
                contact, impulses.normal[k], impulses.tangent[k], solver.mu[k], contact.point - position[a],
                contact.point - position[b], twist[a], twist[b], solver.response[a], solver.response[b],
            )  # fmt: skip
            valid = member < len(bodies_a)
            counts = (valid & solver.resolved[k])[:, None]
            twist = twist.at[a].add(jnp.where(counts, change_a, 0.0)).at[b].add(jnp.where(counts, change_b, 0.0))
            place = jnp.where(valid, k, solver.resolved.size)  # out of range: dropped
            normal = impulses.normal.at[place].set(jnp.where(counts[:, 0], normal, 0.0), mode="drop")
            tangent = impulses.tangent.at[place].set(jnp.where(counts[:, 0], tangent, 0.0), mode="drop")
            if loses_last:
                normal, tangent = normal.at[last].set(0.0), tangent.at[last].set(0.0)
            return jax.lax.optimization_barrier((twist, Impulses(normal, tangent))), None

        (twist, impulses), _ = jax.lax.scan(solve_group, (twist, impulses), solver.members[kind])
    return twist, impulses
