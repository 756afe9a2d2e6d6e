# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""From linear light to the picture that a camera delivers."""

import math

import numpy as np
from torchmultimodal_reid.data.synthetic.camera import Camera
from torchmultimodal_reid.data.synthetic.weather import HOURS, WEATHERS


def develop(
    image: np.ndarray, camera: Camera, weather: str, hour: str, rng: np.random.Generator
) -> np.ndarray:
    """Turns linear light into the camera's picture: haze, exposure, cast, tone, blur, snow and noise.

    Args:
        image (numpy.ndarray): Linear light, float32 of shape ``(h, w, 3)``. It is overwritten.
        camera (Camera): The camera.
        weather (str): One of ``WEATHERS``.
        hour (str): One of ``HOURS``.
        rng (numpy.random.Generator): Draws the noise.

    Returns:
        numpy.ndarray: uint8 of shape ``(h, w, 3)``.
    """
    w, scale = WEATHERS[weather], image.shape[0] / 128
    if w.haze:
        image *= np.float32(1 - w.haze)
        image += np.float32(w.haze) * np.asarray(w.haze_color, dtype=np.float32) * 0.8
    image *= np.asarray(camera.gain, dtype=np.float32) ** 2
    image *= np.float32(_exposure(float(image.mean()), HOURS[hour].exposure))
    np.sqrt(image, out=image)  # a display gamma of 2
    gray = image.mean(axis=2, keepdims=True)
    image -= gray
    image *= np.float32(camera.saturation * camera.contrast)
    image += (gray - np.float32(0.45)) * np.float32(camera.contrast) + np.float32(0.45)
    image = _blur(image, camera.blur * scale)
    if w.flakes:
        _snow(image, w.flakes, scale, rng)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    # a dark picture is amplified, and its noise with it
    image += noise * np.float32(camera.noise * (1 + 0.6 * (1 - HOURS[hour].exposure)))
    np.clip(image, 0, 1, out=image)
    return (image * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def _exposure(mean: float, hour: float) -> float:
    # the automatic exposure evens out the larger part of the differences, but not all
    return 0.24 * hour**0.55 / max(mean, 1e-3) ** 0.7 / 0.24**0.3


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    if sigma < 0.2:
        return image
    side = np.float32(math.exp(-0.5 / sigma**2))
    side = side / (1 + 2 * side)
    if sigma > 1.0:  # three taps cannot be wider than this
        image = _blur(image, sigma * 0.75)
    for axis in (0, 1):
        out = image * (1 - 2 * side)
        if axis == 0:
            out[1:] += side * image[:-1]
            out[:-1] += side * image[1:]
            out[0] += side * image[0]
            out[-1] += side * image[-1]
        else:
            out[:, 1:] += side * image[:, :-1]
            out[:, :-1] += side * image[:, 1:]
            out[:, 0] += side * image[:, 0]
            out[:, -1] += side * image[:, -1]
        image = out
    return image


def _snow(
    image: np.ndarray, flakes: float, scale: float, rng: np.random.Generator
) -> None:
    height, width = image.shape[:2]
    count = int(flakes * height * width / scale**2)
    rows, columns = rng.integers(0, height, count), rng.integers(0, width, count)
    for dy in range(max(1, round(2 * scale))):
        for dx in range(max(1, round(scale))):
            y, x = np.minimum(rows + dy, height - 1), np.minimum(
                columns + dx, width - 1
            )
            image[y, x] += np.float32(0.6) * (np.float32(0.92) - image[y, x])
