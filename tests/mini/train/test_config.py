import pytest

from acestep.errors import ConfigError
from acestep.mini.train.config import StageConfig


def test_wrong_values_are_named():
    with pytest.raises(ConfigError, match="--minutes"):
        StageConfig(minutes=0)
    with pytest.raises(ConfigError, match="hours"):
        StageConfig(hours=3)
