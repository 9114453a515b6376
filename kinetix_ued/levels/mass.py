"""Masses as level files imply them: the formulas of ``kinetix_ued.world.mass``, the same to the last bit everywhere.

A file leaves a shape's mass out where these functions give it. That holds only if reading computes the very bits that
writing compared with, on any machine. Compiled code may fuse or reorder, so everything here is single float32
operations of NumPy, which IEEE 754 defines exactly.
"""

from __future__ import annotations

import math

import numpy as np

F = np.float32


def polygon_inverses(vertices: np.ndarray, n_vertices: int, density: float) -> tuple[np.float32, np.float32]:
    """Inverse mass [1/kg] and inverse inertia about the origin [1/(kg m^2)] of a polygon; vertices (4, 2)."""
    vertices = np.asarray(vertices, F)
    corners = vertices[:n_vertices]
    with np.errstate(all="ignore"):
        area = sum((_triangle_area(corners[0], p, q) for p, q in zip(corners[1:], corners[2:])), F(0))
        second = F(0)
        for p, q in zip(corners, np.roll(vertices, -1, axis=0)):  # a triangle's last edge leads to the unused corner
            cross = q[0] * p[1] - q[1] * p[0]
            square_x = q[0] * q[0] + p[0] * q[0] + p[0] * p[0]
            square_y = q[1] * q[1] + p[1] * q[1] + p[1] * p[1]
            second = second + abs(F(0.25) * cross / F(3) * (square_x + square_y))
        return _inverse(area * F(density)), _inverse(second * F(density))


def circle_inverses(radius: float, density: float) -> tuple[np.float32, np.float32]:
    """Inverse mass [1/kg] and inverse inertia [1/(kg m^2)] of a circle, whose inertia is half a true disc's."""
    pi = F(math.pi)
    with np.errstate(all="ignore"):
        square = F(radius) * F(radius)
        return _inverse(square * pi * F(density)), _inverse(pi * (square * square) / F(4) * F(density))


def _triangle_area(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.float32:
    """Half of base times height: rounds as the recorded levels do, which half the cross product does not."""
    edge, other = b - a, c - a
    base = np.sqrt(edge[0] * edge[0] + edge[1] * edge[1])
    along = edge / (base if base else F(1))
    foot = a + (other[0] * along[0] + other[1] * along[1]) * along
    rise = c - foot
    return base * np.sqrt(rise[0] * rise[0] + rise[1] * rise[1]) / F(2)


def _inverse(value: np.float32) -> np.float32:
    """1 / value, and 1 for a vanishing one."""
    return F(1) / (value if value else F(1))
