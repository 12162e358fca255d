"""What is known before a run, made up."""

from acestep.model.shape import SHAPES, Base
from acestep.training.machine import named_machine
from acestep.training.situation import Situation

# The guide's eight songs, a published model, and a card that most people could have
LARGE = Situation(
    songs=8,
    variants=0,
    clips=8,
    seconds=1800,
    clip_seconds=225,
    longest=240,
    spread=None,
    base=Base("acestep-v15-turbo", "turbo", SHAPES["acestep-v15-turbo"]),
    machine=named_machine("RTX 3060 12GB"),
)
