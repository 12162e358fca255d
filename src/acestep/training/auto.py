"""``train --auto``: the knobs that were not given, by advice."""

from acestep.config import TrainConfig
from acestep.events import Notice
from acestep.processes import how_many
from acestep.training.advice import advise
from acestep.training.situation import look_at_tensors


def fill_in(config: TrainConfig) -> tuple[TrainConfig, list[Notice]]:
    """The config with every knob that advice has a value for and the user has not, and a notice for
    each. The values count as given: a run folder keeps them, and resuming finds them there.

    Raises what :func:`acestep.training.situation.look_at_tensors` raises.
    """
    given = {name: vars(config)[name] for name in config.model_fields_set}
    situation = look_at_tensors(config.tensors, config.model, device=config.device)
    advice = advise(situation, given, how_many())
    taken = [one for one in advice.settings if one.verb == "train"]
    filled = TrainConfig(**given, **{one.knob: one.value for one in taken})
    costs = [advice.memory.sentence, advice.time.sentence]
    lines = [*(f"{one.flag}: {one.reason}" for one in taken), *costs]
    notices = [Notice(line, "info") for line in lines]
    if not advice.memory.fits:
        cures = [one for one in advice.settings if one.verb != "train"]
        notices += [Notice(f"{one.verb} {one.flag}: {one.reason}".lstrip()) for one in cures]
    return filled, notices
