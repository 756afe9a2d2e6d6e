# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import math

import pytest
from torchmultimodal_reid.evaluation.captions import (
    attribute_accuracy,
    AttributeAccuracy,
    bleu4,
    caption_words,
    cider,
    mean_accuracy,
    Perplexity,
)

CAPTIONS = [
    "a man in a red coat with a bag",
    "a woman in a blue skirt and boots",
    "an old man with grey hair walks",
]


class TestPerplexity:
    def test_of_a_uniform_guess_is_the_number_of_choices(self):
        perplexity = Perplexity()
        perplexity.update(math.log(8), 10)
        assert perplexity.compute() == pytest.approx(8)

    def test_weighs_batches_by_their_tokens(self):
        perplexity = Perplexity()
        perplexity.update(0.0, 30)
        perplexity.update(4.0, 10)
        assert perplexity.compute() == pytest.approx(math.e)

    def test_is_finite_for_an_absurd_model(self):
        perplexity = Perplexity()
        perplexity.update(1e6, 1)
        assert math.isfinite(perplexity.compute())

    def test_of_nothing(self):
        with pytest.raises(ValueError, match="perplexity of no tokens"):
            Perplexity().compute()


class TestBLEU:
    def test_the_reference_itself_is_perfect(self):
        assert bleu4(CAPTIONS, [[text] for text in CAPTIONS]) == pytest.approx(1.0)

    def test_case_and_punctuation_do_not_count(self):
        assert bleu4(["A T-shirt, RED."], [["a t - shirt red"]]) == pytest.approx(1.0)

    def test_closed_form(self):
        # of 6 words 5 match, of 5 pairs 4, of 4 triples 3, of 3 fours 2; the lengths are equal
        value = bleu4(["a b c d e x"], [["a b c d e f"]])
        expected = (5 / 6 * 4 / 5 * 3 / 4 * 2 / 3) ** 0.25
        assert value == pytest.approx(expected, abs=1e-6)

    def test_brevity(self):
        value = bleu4(["a b c d"], [["a b c d e f"]])
        assert value == pytest.approx(math.exp(1 - 6 / 4), abs=1e-6)

    def test_images_may_have_unequal_numbers_of_references(self):
        references = [["nothing alike here", CAPTIONS[0]], [CAPTIONS[1]]]
        assert bleu4(CAPTIONS[:2], references) == pytest.approx(1.0)

    def test_nothing_in_common(self):
        assert bleu4(["one two three four"], [["five six seven eight"]]) == 0.0


class TestCIDEr:
    def test_the_only_reference_itself_is_ten(self):
        assert cider(CAPTIONS, [[text] for text in CAPTIONS]) == pytest.approx(10.0)

    def test_another_images_caption_is_bad(self):
        turned = [*CAPTIONS[1:], CAPTIONS[0]]
        assert cider(turned, [[text] for text in CAPTIONS]) < 0.5

    def test_closed_form(self):
        # two images without a word in common: each n-gram weighs log 2. Of 4 words 3 are right, of 3 pairs 2, of
        # 2 triples 1, of 1 four none, so the cosines are 3/4, 2/3, 1/2 and 0; the lengths are equal
        value = cider(["a b c x", "e f g h"], [["a b c d"], ["e f g h"]])
        first = 10 * (3 / 4 + 2 / 3 + 1 / 2 + 0) / 4
        assert value == pytest.approx((first + 10) / 2)

    def test_of_one_image_is_nothing(self):
        assert cider(CAPTIONS[:1], [CAPTIONS[:1]]) == 0.0


@pytest.mark.parametrize("metric", [bleu4, cider])
class TestBadReferences:
    def test_unequal_lengths(self, metric):
        with pytest.raises(ValueError, match="one entry an image, got 3 and 1"):
            metric(CAPTIONS, [CAPTIONS[:1]])

    def test_nothing(self, metric):
        with pytest.raises(ValueError, match="got 0 and 0"):
            metric([], [])

    def test_no_reference(self, metric):
        with pytest.raises(ValueError, match="image 1 has no reference caption"):
            metric(CAPTIONS[:2], [CAPTIONS[:1], []])


def test_caption_words():
    assert caption_words(" A  T-shirt,\nred. ") == "a t shirt red"


class TestAttributes:
    person = {"gender": "male", "upper_color": "red"}
    woman = {"gender": "female", "upper_color": "red"}

    def test_counts_captions_that_tell(self):
        told = [{"gender": "male"}, {"gender": "male"}, {"gender": "male"}, {}]
        people = [self.person, self.woman, self.woman, self.person]
        found = attribute_accuracy(told, people, ["gender", "upper_color"])
        # right once in three; two of the three that are told of are women
        assert found == {
            "gender": AttributeAccuracy(1 / 3, 3 / 4, 2 / 3),
            "upper_color": AttributeAccuracy(None, 0.0, None),
        }
        assert mean_accuracy(found) == 1 / 3

    def test_a_thing_that_is_not_there_is_wrong(self):
        found = attribute_accuracy([{"bag": "handbag"}], [{"bag": "none"}], ["bag"])
        assert found["bag"].accuracy == 0.0

    def test_mean_of_nothing_told(self):
        assert mean_accuracy(attribute_accuracy([{}], [self.person], ["gender"])) == 0

    def test_errors(self):
        with pytest.raises(ValueError, match="one entry a caption, got 1 and 2"):
            attribute_accuracy([{}], [self.person, self.woman])
        with pytest.raises(ValueError, match="caption 0 has no attribute 'bag'"):
            attribute_accuracy([{}], [self.person], ["bag"])
