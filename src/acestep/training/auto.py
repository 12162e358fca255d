"""The knobs of a run: those of the run it resumes, or with ``--auto`` those of advice."""

from acestep.config import TrainConfig
from acestep.events import Notice
from acestep.processes import how_many
from acestep.training.advice import advise
from acestep.training.run import RunFolder
from acestep.training.settings import check_new_run, resume_config
from acestep.training.situation import look_at_tensors


def settle(config: TrainConfig, run: RunFolder) -> tuple[TrainConfig, list[Notice]]:
    """The knobs that a run in this folder will have, and what there is to say about them.

    Raises ``RunError`` if a run lies there that is not to be resumed, or was started with other
    knobs, and what :func:`fill_in` raises.
    """
    if config.resume and run.exists():
        config, changed = resume_config(config, run)
        return config, [Notice(line, "info") for line in changed]
    check_new_run(config, run)
    notices = []
    if config.resume:
        notices.append(Notice(f"{run.path} holds no run yet: starting at the beginning"))
    if config.auto:
        config, chosen = fill_in(config)
        notices += chosen
    return config, notices


def fill_in(config: TrainConfig) -> tuple[TrainConfig, list[Notice]]:
    """The config with every knob that advice has a value for and the user has not, and a notice for
    each. The values count as given: a run folder keeps them, and resuming finds them there.

    Raises what :func:`acestep.training.situation.look_at_tensors` raises.
    """
    given = {name: vars(config)[name] for name in config.model_fields_set}
    situation = look_at_tensors(config.tensors, config.model, config.gpu, config.device)
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
