# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import numpy as np
import pytest
from torchmultimodal_reid.data.synthetic.parts import Part, SKIN, turn_x, turn_y, UPPER
from torchmultimodal_reid.data.synthetic.raycast import cast, Hits, project, Screen

FAR = 1e7  # metres: from there all rays are parallel


def screen_of(half=1.0, count=81, depth=FAR):
    at = np.linspace(-half, half, count).astype(np.float32)
    return Screen(at, at, np.eye(3), np.array([0.0, 0.0, depth]), depth)


def part_of(start, end, radii, axes=None, surface=SKIN):
    axes = np.eye(3) if axes is None else axes
    start, end = np.asarray(start, float), np.asarray(end, float)
    return Part(start, end, radii[0], radii[1], axes, surface, 0)


def hit(parts, screen) -> Hits:
    return cast(project(parts, screen), screen)


def depth_map(hits: Hits, screen: Screen) -> np.ndarray:
    depth = np.full(len(screen.xs) * len(screen.ys), np.inf)
    depth[hits.pixel] = hits.point[2]
    return depth.reshape(len(screen.ys), len(screen.xs))


def test_sphere():
    screen = screen_of()
    depth = depth_map(
        hit([part_of([0, 0, 0.3], [0, 0, 0.3], (0.5, 0.5))], screen), screen
    )
    x, y = np.meshgrid(screen.xs, screen.ys)
    square = 0.25 - x.astype(float) ** 2 - y.astype(float) ** 2
    # leave out the rim, where rounding decides
    inside, outside = square > 1e-3, square < -1e-3
    np.testing.assert_allclose(depth[inside], 0.3 - np.sqrt(square[inside]), atol=1e-5)
    assert np.isinf(depth[outside]).all()


def test_sphere_normal_points_from_the_center():
    screen = screen_of()
    hits = hit([part_of([0.1, -0.2, 0], [0.1, -0.2, 0], (0.6, 0.6))], screen)
    expected = (hits.point - np.array([[0.1], [-0.2], [0.0]])) / 0.6
    np.testing.assert_allclose(hits.normal, expected, atol=1e-4)


def test_ellipsoid_with_axes_along_the_screen():
    screen = screen_of()
    part = part_of([0, 0, 0], [0, 0, 0], (0.5, 0.5), np.diag([1.6, 0.5, 0.8]))
    depth = depth_map(hit([part], screen), screen)
    x, y = np.meshgrid(screen.xs.astype(float), screen.ys.astype(float))
    square = 0.25 - (x / 1.6) ** 2 - (y / 0.5) ** 2
    inside = square > 1e-3
    np.testing.assert_allclose(depth[inside], -0.8 * np.sqrt(square[inside]), atol=1e-5)


@pytest.mark.parametrize(
    "start, end, radii",
    [
        ([-0.4, -0.5, 0.2], [0.3, 0.5, -0.3], (0.2, 0.2)),  # a capsule
        ([0.0, -0.6, 0.0], [0.1, 0.5, 0.4], (0.12, 0.35)),  # a cone, leaning away
        (
            [0.02, 0.0, -0.5],
            [0.0, 0.05, 0.5],
            (0.15, 0.2),
        ),  # one that points at the eye
    ],
)
def test_sweep_is_the_union_of_its_ellipsoids(start, end, radii):
    axes = turn_y(0.7) @ turn_x(-0.5) @ np.diag([1.3, 0.5, 0.8])
    screen = screen_of(count=41)
    depth = depth_map(hit([part_of(start, end, radii, axes)], screen), screen)
    x, y = np.meshgrid(screen.xs.astype(float), screen.ys.astype(float))
    inverse = np.linalg.inv(axes @ axes.T)
    nearest = np.full(x.shape, np.inf)
    for t in np.linspace(0, 1, 801):
        center = np.asarray(start) + t * (np.asarray(end) - np.asarray(start))
        radius = radii[0] + t * (radii[1] - radii[0])
        dx, dy = x - center[0], y - center[1]
        # (p - c)^T A^-1 (p - c) = r^2, a quadratic equation in the depth
        a = inverse[2, 2]
        b = inverse[0, 2] * dx + inverse[1, 2] * dy
        c = (
            inverse[0, 0] * dx**2
            + 2 * inverse[0, 1] * dx * dy
            + inverse[1, 1] * dy**2
            - radius**2
        )
        square = b * b - a * c
        front = np.where(
            square > 0, center[2] - (b + np.sqrt(np.maximum(square, 0))) / a, np.inf
        )
        nearest = np.minimum(nearest, front)
    both = np.isfinite(depth) & np.isfinite(nearest)
    assert both.sum() > 30
    # pixels on the rim are hit by one only
    assert (np.isfinite(depth) != np.isfinite(nearest)).sum() < 0.1 * both.sum()
    error = np.abs(depth[both] - nearest[both])
    assert error.max() < 0.02 and np.median(error) < 1e-3


def test_nearer_part_hides_the_other_in_any_order():
    near = part_of([0, 0, -0.5], [0, 0, -0.5], (0.2, 0.2))
    far = part_of([0, 0, 0.5], [0, 0, 0.5], (0.4, 0.4), surface=UPPER)
    screen = screen_of()
    first, second = hit([near, far], screen), hit([far, near], screen)
    center = len(screen.xs) * (len(screen.ys) // 2) + len(screen.xs) // 2
    assert first.part[first.pixel == center] == 0
    assert second.part[second.pixel == center] == 1
    np.testing.assert_array_equal(first.part, 1 - second.part)


def test_perspective_draws_the_nearer_larger():
    def rows(z):
        screen = screen_of(half=1.0, count=401, depth=10.0)
        hits = hit([part_of([0, 0, z], [0, 0, z], (0.5, 0.5))], screen)
        return len(np.unique(hits.pixel // 401))

    # 10 metres away at scale 1, 5 metres away at scale 2
    assert rows(0.0) == pytest.approx(200, abs=3)
    assert rows(-5.0) == pytest.approx(400, abs=3)


def test_part_outside_the_screen_is_no_hit():
    assert hit([part_of([5, 0, 0], [5, 0, 0], (0.5, 0.5))], screen_of()).pixel.size == 0
