# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""What the forms of a caption share: draws, and a record of what was told."""

from typing import Dict, Optional, Sequence

import numpy as np
from torchmultimodal_reid.data.synthetic.phrases import Facts, Maker, Phrase
from torchmultimodal_reid.data.synthetic.shot import Shot


class Teller:
    """Collects what the phrases of one caption tell."""

    def __init__(self, rng: np.random.Generator, facts: Facts, shot: Shot) -> None:
        self.rng = rng
        self.facts = facts
        self.shot = shot
        self.told: Dict[str, str] = {}

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def pick(self, *texts: str) -> str:
        return texts[int(self.rng.integers(len(texts)))]

    def use(self, phrase: Optional[Phrase]) -> str:
        if phrase is None:
            return ""
        self.told.update(phrase.told)
        return phrase.text

    def maybe(self, make: Maker, share: float) -> str:
        # the phrase is drawn in any case, so that its absence does not change the draws that follow
        phrase = make(self.rng, self.facts)
        return self.use(phrase) if self.chance(share) else ""

    def pronoun(self) -> str:
        if "gender" not in self.told:
            return self.pick("The person", "This pedestrian")
        return "He" if self.told["gender"] == "male" else "She"


def join(items: Sequence[str], last: str = "and") -> str:
    items = [item for item in items if item]
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + f" {last} " + items[-1]
