"""One optimizer step: what is drawn, the loss of its clips, one update."""

import torch
from torch import Tensor

from acestep.model.flow import frame_losses
from acestep.speed.attention import clip_lengths
from acestep.training.batches import gather, groups, patches_of
from acestep.training.draws import draw_sample, epoch_order, seed_dropout
from acestep.training.session import Session


def optimizer_step(session: Session, step: int, rate: float) -> tuple[Tensor, Tensor]:
    """One update; returns the step's mean loss and the gradients' norm, still on the device.

    However the step's clips are grouped, each has the loss and the gradient that it would have
    alone.
    """
    members = members_of(session, step)
    mine = range(session.processes.rank, len(members), session.processes.world)
    session.learner.train()
    loss = torch.zeros((), device=session.device)
    for together in _grouped(session, members, mine):
        share = summed_loss(session, members, together, step) / len(members)
        share.backward()
        loss += share.detach()
    parameters = list(session.parameters.values())
    for parameter in parameters:
        if parameter.grad is None:  # no sample of this step fell to this process
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    session.processes.add_up([*gradients, loss])
    norm = torch.nn.utils.clip_grad_norm_(parameters, session.config.max_grad_norm)
    for group in session.optimizer.param_groups:
        group["lr"] = rate
    session.optimizer.step()
    session.optimizer.zero_grad(set_to_none=True)
    return loss, norm


def members_of(session: Session, step: int) -> list[int]:
    """The training clips of a step, over all processes; a clip's place in the list is its position
    in the step."""
    plan = session.plan
    epoch, place = divmod(step, plan.steps_per_epoch)
    order = epoch_order(session.config.seed, epoch, len(session.split.train))
    return order[place * plan.samples_per_step : (place + 1) * plan.samples_per_step]


def summed_loss(session: Session, members: list[int], positions: list[int], step: int) -> Tensor:
    """The sum of the mean losses of some of a step's clips, which go through the model together."""
    config, plan = session.config, session.plan
    clips = [session.split.train[members[position]].to(session.device) for position in positions]
    draws = [
        draw_sample(
            plan.law, clip.latents.shape[1:], plan.condition_dropout, config.seed, step, position
        )
        for clip, position in zip(clips, positions, strict=True)
    ]
    batch = gather(clips, draws, session.null_condition, session.patch)
    seed_dropout(config.seed, step, positions[0])
    with session.autocast(), clip_lengths(session.transformer, batch.patches, batch.conditions):
        losses = frame_losses(
            session.learner, batch.data, batch.noise, batch.time, batch.condition, batch.context
        )
    return batch.loss(losses)


def _grouped(session: Session, members: list[int], positions: range) -> list[list[int]]:
    lengths = [
        patches_of(session.split.train[members[position]], session.patch) for position in positions
    ]
    at_once = int(session.pace.patches_at_once.value)
    return [[positions[place] for place in group] for group in groups(lengths, at_once)]
