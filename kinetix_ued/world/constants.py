"""Every number of the physics, in one place: its unit, and what breaks when it changes.

Recorded trajectories, published levels and published results all rest on these values
(they are those of the Jax2D 1.0.1 engine); changing one changes the world.
"""

DT = 1.0 / 60.0
"""Length of a frame [s]. Joint and contact stiffness are tuned to it: longer frames tunnel and explode."""

SOLVER_ITERATIONS = 10
"""Sweeps over joints and contacts in a frame. Fewer: stacks sink and joints stretch."""

SOLVER_GROUP = 16
"""At most this many contacts of a kind are solved simultaneously; decides parity on every level with more pairs."""

CLIP_POSITION = 15.0
"""|position| is clipped here [m], three room widths out: keeps a scene that exploded finite."""

CLIP_VELOCITY = 100.0
"""|velocity| is clipped here [m/s] (1.7 m a frame)."""

CLIP_ANGULAR_VELOCITY = 50.0
"""|angular velocity| is clipped here [rad/s] (48 degrees a frame)."""

# Contacts

PENETRATION_SLOP = 0.01
"""Overlap that is left alone [m]. Smaller: resting contacts flicker, and with them the warm start."""

CONTACT_BIAS = 0.2
"""Share of the remaining overlap that a contact tries to undo in one frame (Baumgarte). Above 1 contacts throw."""

REFERENCE_FACE_BIAS = 0.01
"""How much deeper [m] the second polygon's axis must be to become the reference face. Zero: contact points flip."""

BASE_FRICTION = 0.4
"""Multiplies a body's friction before two bodies' are combined."""

# Joints

JOINT_STIFFNESS = 0.6
"""Share of the point constraint's impulse that is applied in one solver iteration."""

JOINT_BIAS_VELOCITY = 2.0
"""Drift of the shared point that becomes velocity [1/s]."""

JOINT_BIAS_POSITION = 0.7
"""Share of the drift that is undone by moving the bodies in each solver iteration."""

FIXED_JOINT_BIAS = 2.0
"""Angle error of a fixed joint that becomes angular velocity [1/s]."""

JOINT_LIMIT_BIAS = 5.0
"""Angle beyond a limit that becomes angular velocity [1/s]."""

# Motors and thrusters

MOTOR_SPEED = 6.0
"""Target speed of a motor of speed 1 at full action [rad/s]."""

MOTOR_POWER = 900.0
"""Largest change of relative angular velocity by a motor of power 1 [rad/s^2]."""

MOTOR_DECAY = 0.1
"""Slope of the motor's tanh response at its target speed [s/rad]."""

MOTOR_LIMIT_MARGIN = 0.1
"""A motor weakens over this angle before its joint's limit [rad]."""

THRUSTER_FORCE = 10.0
"""Force of a thruster of power 1 at full action [N]."""

# The room

ROOM_SIZE = 5.0
"""Width and height of the room [m]."""

FLOOR_HEIGHT = 0.4
"""Height of the floor's surface [m]."""

STATIC_POLYGONS = 4
"""The first polygons of every level: floor, left wall, right wall, ceiling."""

MAX_VERTICES = 4
"""Vertices of a polygon at most."""

GRAVITY = -9.81
"""Default vertical gravity [m/s^2]."""

# Actuators

MOTOR_BINDINGS = 4
"""Motor channels of an action; each joint listens to one."""

THRUSTER_BINDINGS = 2
"""Thruster channels of an action; each thruster listens to one."""
