import math

import pytest

from acestep.labellers.estimate import Estimate


def test_a_dataset_keeps_value_doubt_and_alternative():
    said = Estimate(97, 0.81234, runner_up=194)
    assert said.as_dict() == {
        "value": 97, "confidence": 0.812, "runner_up": 194, "source": "analysis"
    }  # fmt: skip


@pytest.mark.parametrize("confidence", [-0.1, 1.1, math.nan])
def test_confidence_is_a_share(confidence):
    with pytest.raises(ValueError, match="from 0 to 1"):
        Estimate(97, confidence)
