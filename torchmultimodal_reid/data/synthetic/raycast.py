# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Casts rays at swept ellipsoids, analytically and only over each one's box on the screen.

Under parallel rays the ellipsoids of a sweep project to ellipses, and a linear map of the screen turns these into
circles of the sweep's radius ``r(t)``. The surface nearest to the eye at a point ``q`` of the mapped screen is then the
minimum over ``t`` in [0, 1] of a function of the form ``a + m t - sqrt(Q(t))``, ``Q`` a concave parabola: it has one
closed-form minimum, clamped to the segment. Perspective enters through the projected ends: both the centres and the
radii of a sweep are scaled by their own depth.
"""

from typing import NamedTuple, Sequence

import numpy as np
from torchmultimodal_reid.data.synthetic.parts import Part


class Screen(NamedTuple):
    """Where the rays of the picture go.

    Args:
        xs (numpy.ndarray): Horizontal position of every column, in metres at the person's depth; positive is right.
        ys (numpy.ndarray): Vertical position of every row; positive is down.
        rotation (numpy.ndarray): Maps the body's frame to (right, down, away from the eye), shape ``(3, 3)``.
        origin (numpy.ndarray): The ground point under the body in that frame, shape ``(3,)``.
        depth (float): Distance that is drawn at scale 1, in metres.
    """

    xs: np.ndarray
    ys: np.ndarray
    rotation: np.ndarray
    origin: np.ndarray
    depth: float


class Sweeps(NamedTuple):
    """The parts as the screen sees them; all arrays have one row a part."""

    center: np.ndarray  # (p, 3): right, down, away, of the beginning
    along: np.ndarray  # (p, 3): from the beginning to the end
    radius: np.ndarray  # (p,)
    growth: np.ndarray  # (p,): end radius minus start radius
    form: np.ndarray  # (p, 3, 3): covariance of the unit ellipsoid
    box: np.ndarray  # (p, 4): columns from, to, rows from, to


class Hits(NamedTuple):
    """The pixels that show the person.

    Args:
        pixel (numpy.ndarray): Flat index of each pixel, shape ``(n,)``.
        part (numpy.ndarray): Index of the part that is seen, shape ``(n,)``.
        way (numpy.ndarray): Where on the part's segment, 0 to 1, shape ``(n,)``.
        point (numpy.ndarray): The surface point as (right, down, away), shape ``(3, n)``.
        offset (numpy.ndarray): From the segment to the point, same frame and shape.
        normal (numpy.ndarray): Unit normal, same frame and shape.
    """

    pixel: np.ndarray
    part: np.ndarray
    way: np.ndarray
    point: np.ndarray
    offset: np.ndarray
    normal: np.ndarray


def project(parts: Sequence[Part], screen: Screen) -> Sweeps:
    """Projects the parts to the screen; only the screen's rotation, origin and depth are read."""
    ends = (
        np.array([(p.start, p.end) for p in parts]) @ screen.rotation.T + screen.origin
    )
    radii = np.array([(p.start_radius, p.end_radius) for p in parts])
    scale = screen.depth / ends[..., 2]
    ends = np.concatenate(
        [ends[..., :2] * scale[..., None], ends[..., 2:] - screen.depth], axis=-1
    )
    radii = radii * scale
    axes = screen.rotation @ np.array([p.axes for p in parts])
    form = axes @ axes.transpose(0, 2, 1)
    reach = (
        radii[..., None]
        * np.sqrt(np.stack([form[:, 0, 0], form[:, 1, 1]], axis=1))[:, None]
    )
    low, high = (ends[..., :2] - reach).min(axis=1), (ends[..., :2] + reach).max(axis=1)
    box = np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1)
    return Sweeps(
        ends[:, 0],
        ends[:, 1] - ends[:, 0],
        radii[:, 0],
        radii[:, 1] - radii[:, 0],
        form,
        box,
    )


def cast(sweeps: Sweeps, screen: Screen) -> Hits:
    """Finds what every ray hits first.

    Args:
        sweeps (Sweeps): The projected parts.
        screen (Screen): The rays.

    Returns:
        Hits: One entry for each pixel that shows any part.
    """
    shape = (len(screen.ys), len(screen.xs))
    depth = np.full(shape, np.inf, dtype=np.float32)
    nearest = np.full(shape, -1, dtype=np.int16)
    ways = np.zeros(shape, dtype=np.float32)
    columns = np.searchsorted(screen.xs, sweeps.box[:, :2])
    rows = np.searchsorted(screen.ys, sweeps.box[:, 2:])
    for part in range(len(sweeps.radius)):
        (left, right), (top, bottom) = columns[part], rows[part]
        if left >= right or top >= bottom:
            continue
        view = np.s_[top:bottom, left:right]
        dx = screen.xs[left:right] - np.float32(sweeps.center[part, 0])
        dy = screen.ys[top:bottom] - np.float32(sweeps.center[part, 1])
        _cast_one(sweeps, part, dx, dy[:, None], depth[view], nearest[view], ways[view])
    return _gather(sweeps, screen, depth, nearest, ways)


def _cast_one(
    sweeps: Sweeps,
    part: int,
    dx: np.ndarray,
    dy: np.ndarray,
    depth: np.ndarray,
    nearest: np.ndarray,
    ways: np.ndarray,
) -> None:
    f32 = np.float32
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = sweeps.form[part].tolist()
    along_x, along_y, along_z = sweeps.along[part].tolist()
    r, dr = float(sweeps.radius[part]), float(sweeps.growth[part])
    # the screen's map q = ((dx / a), (dy - dx b / a) / d) makes the ellipses circles
    a = xx**0.5
    b = xy / a
    d = max(yy - b * b, 1e-12) ** 0.5
    along_u, along_v = along_x / a, (along_y - along_x * b / a) / d
    # depth of an ellipsoid's surface: shear . offset - thick * sqrt(...)
    shear_u, shear_v = xz / a, (yz - xz * b / a) / d
    thick = max(zz - shear_u**2 - shear_v**2, 1e-12) ** 0.5
    u = dx * f32(1 / a)
    v = dy * f32(1 / d) - dx * f32(b / (a * d))
    base = f32(r * r) - u * u - v * v  # Q at the beginning of the segment
    # a segment that points at the eye has no closed form; a small floor sends t to the end that is seen
    bend = max(along_u**2 + along_v**2 - dr * dr, 1e-9)
    slope = (along_z - shear_u * along_u - shear_v * along_v) / thick
    half = u * f32(along_u) + v * f32(along_v) + f32(r * dr)
    t = half * f32(1 / bend)
    peak = np.maximum(base + half * t, 0)
    t -= np.sqrt(peak) * f32(slope / (bend * (bend + slope * slope)) ** 0.5)
    np.clip(t, 0, 1, out=t)
    inside = base + t * (half * f32(2) - t * f32(bend))
    seen = inside > 0
    z = t * f32(slope) - np.sqrt(np.maximum(inside, 0))
    z *= f32(thick)
    z += u * f32(shear_u) + v * f32(shear_v) + f32(sweeps.center[part, 2])
    seen &= z < depth
    np.copyto(depth, z, where=seen)
    np.copyto(nearest, np.int16(part), where=seen)
    np.copyto(ways, t, where=seen)


def _gather(
    sweeps: Sweeps,
    screen: Screen,
    depth: np.ndarray,
    nearest: np.ndarray,
    ways: np.ndarray,
) -> Hits:
    pixel = np.flatnonzero(nearest.ravel() >= 0).astype(np.int32)
    part, way = nearest.ravel()[pixel].astype(np.intp), ways.ravel()[pixel]
    row = pixel // np.int32(len(screen.xs))
    point = np.empty((3, len(pixel)), dtype=np.float32)
    np.take(screen.xs, pixel - row * np.int32(len(screen.xs)), out=point[0])
    np.take(screen.ys, row, out=point[1])
    np.take(depth.ravel(), pixel, out=point[2])
    inverse = np.linalg.inv(sweeps.form)
    # the gradient of an ellipsoid's equation, its six different coefficients gathered pixel by pixel
    (ix, iy, iz), (_, jy, jz), (_, _, kz) = inverse.transpose(1, 2, 0).astype(
        np.float32
    )
    offset = point - sweeps.center.T.astype(np.float32)[:, part]
    offset -= sweeps.along.T.astype(np.float32)[:, part] * way
    x, y, z = offset
    normal = np.empty_like(offset)
    mixed_y, mixed_z, cross = iy[part], iz[part], jz[part]
    normal[0] = ix[part] * x + mixed_y * y + mixed_z * z
    normal[1] = mixed_y * x + jy[part] * y + cross * z
    normal[2] = mixed_z * x + cross * y + kz[part] * z
    square = normal * normal
    normal /= np.sqrt(square[0] + square[1] + square[2]) + np.float32(1e-9)
    return Hits(pixel, part, way, point, offset, normal)
