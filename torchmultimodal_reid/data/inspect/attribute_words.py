# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

"""Words that tell what a person looks like. Sex and age alone tell too little to find somebody by."""

import re
from typing import FrozenSet

_WORDS = """
black white red purple violet gray grey yellow blue green brown pink orange beige tan khaki navy maroon teal cream gold
golden silver cyan turquoise dark light bright plaid striped stripes stripe checkered chequered checked floral patterned
pattern dotted polka plain logo print printed camouflage denim leather
shirt shirts tshirt tee blouse top tops sweater sweatshirt hoodie jacket coat blazer suit vest cardigan pullover dress
gown tank polo jersey uniform windbreaker parka raincoat sleeve sleeves sleeved sleeveless collar collared hood hooded
pants trousers jeans shorts skirt leggings slacks capris tights stockings sweatpants overalls belt
shoes shoe sneakers sneaker boots boot sandals sandal heels flats slippers loafers socks trainers footwear
hat cap beanie helmet headphones earphones scarf tie gloves watch glasses sunglasses eyeglasses mask necklace
bag bags backpack handbag purse suitcase briefcase satchel luggage umbrella phone cellphone book bottle stroller bicycle
bike
hair haired bald ponytail bun braid braids braided curly blonde blond brunette beard bearded mustache moustache
tall short long slim thin heavy heavyset fat skinny slender
"""
ATTRIBUTE_WORDS: FrozenSet[str] = frozenset(_WORDS.split())
_WORD = re.compile(r"[^\W\d_]+")


def tells_an_attribute(caption: str) -> bool:
    """Whether a caption (in English) has a word for clothes, colour, build, hair or a thing that is carried."""
    words = _WORD.findall(caption.lower().replace("t-shirt", "tshirt"))
    return any(word in ATTRIBUTE_WORDS for word in words)
