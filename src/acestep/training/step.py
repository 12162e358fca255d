"""One optimizer step: what is drawn, the loss of each sample, one update."""

import torch
from torch import Tensor

from acestep.model.flow import frame_losses
from acestep.training.draws import draw_sample, epoch_order, seed_dropout
from acestep.training.session import Session


def optimizer_step(session: Session, step: int, rate: float) -> tuple[Tensor, Tensor]:
    """One update; returns the step's mean loss and the gradients' norm, still on the device.

    Samples go through the model one by one, so that each has exactly the loss and the gradient that
    it would have alone: the transformer knows no padding mask.
    """
    config, plan = session.config, session.plan
    epoch, place = divmod(step, plan.steps_per_epoch)
    order = epoch_order(config.seed, epoch, len(session.split.train))
    members = order[place * plan.samples_per_step : (place + 1) * plan.samples_per_step]
    session.learner.train()
    loss = torch.zeros((), device=session.device)
    for position in range(session.processes.rank, len(members), session.processes.world):
        share = sample_loss(session, members[position], step, position) / len(members)
        share.backward()
        loss += share.detach()
    parameters = list(session.parameters.values())
    for parameter in parameters:
        if parameter.grad is None:  # no sample of this step fell to this process
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    session.processes.add_up([*gradients, loss])
    norm = torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
    for group in session.optimizer.param_groups:
        group["lr"] = rate
    session.optimizer.step()
    session.optimizer.zero_grad(set_to_none=True)
    return loss, norm


def sample_loss(session: Session, index: int, step: int, position: int) -> Tensor:
    """The loss of one training clip with the draws of its place in this step."""
    config, plan = session.config, session.plan
    clip = session.split.train[index].to(session.device)
    draw = draw_sample(
        plan.law, clip.latents.shape[1:], plan.condition_dropout, config.seed, step, position
    )
    condition = (
        session.null_condition.expand_as(clip.condition) if draw.drop_condition else clip.condition
    )
    noise = session.upload(draw.noise)
    seed_dropout(config.seed, step, position)
    with session.autocast():
        losses = frame_losses(
            session.learner,
            clip.latents,
            noise,
            session.upload(draw.time),
            condition,
            clip.context,
        )
    return losses[:, clip.frames].mean()
