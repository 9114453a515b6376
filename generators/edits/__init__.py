"""Edits of levels, one a file, and the table of them."""

from . import (
    add_connected_shape,
    add_shape,
    add_thruster,
    change_gravity,
    move,
    remove_joint,
    remove_shape,
    remove_thruster,
    resize,
    rotate,
    swap_roles,
    toggle_fixation,
)
from .edit import EDIT_DRAWS, Edit

_MODULES = (
    *(add_shape, add_connected_shape, remove_joint, remove_shape, swap_roles, add_thruster, remove_thruster),
    *(toggle_fixation, resize, move, rotate, change_gravity),
)

EDITS: dict[str, Edit] = {module.EDIT.name: module.EDIT for module in _MODULES}
"""Edits by name. Their weights are the reference's, which leaves out removing joints and shapes, and gravity."""

__all__ = ["EDITS", "EDIT_DRAWS", "Edit"]
