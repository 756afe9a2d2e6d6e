# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Sentences about a rendered picture in the shapes of FineGPR-C."""

from torchmultimodal_reid.data.finegpr_captions import (
    plain,
    Scene,
    scene_first,
    Shape,
    there_is,
    Writer,
)
from torchmultimodal_reid.data.synthetic.teller import Teller
from torchmultimodal_reid.data.synthetic.visibility import view_of


def _write(shape: Shape, teller: Teller) -> str:
    shot = teller.shot
    scene = Scene(view_of(shot.pose), shot.weather, shot.hour)
    return shape(Writer(teller.rng, teller.facts, teller.told), scene)


def finegpr_plain(teller: Teller) -> str:
    return _write(plain, teller)


def finegpr_there_is(teller: Teller) -> str:
    return _write(there_is, teller)


def finegpr_in_a(teller: Teller) -> str:
    return _write(scene_first, teller)
