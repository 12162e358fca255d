"""One optimizer step: what is drawn, the loss of its clips, one update."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from acestep.adapters.mount import disabled
from acestep.model.flow import frame_losses, predicted_velocity
from acestep.processes import share_out
from acestep.speed.attention import clip_lengths
from acestep.speed.padding import together, upload
from acestep.speed.sharding import is_sharded
from acestep.training.batches import Batch, gather, groups, patches_of
from acestep.training.draws import draw_sample, epoch_order, grouped_order, seed_dropout
from acestep.training.session import Session
from acestep.training.untagged import Untagged

_INPUTS = ("data", "noise", "time", "condition", "context")


def optimizer_step(session: Session, step: int, rate: float) -> tuple[Tensor, Tensor]:
    """One update; returns the step's mean loss and the gradients' norm, still on the device.

    However the step's clips are grouped, each has the loss and the gradient that it would have
    alone.
    """
    return update(session, rate, add_gradients(session, step))


def add_gradients(session: Session, step: int) -> Tensor:
    """Add this process's share of a step to the gradients; returns its share of the mean loss.

    Nothing goes over the wire, unless the base is split over the processes: then all make as many
    passes as the one with the most, and what is only made to keep step counts nothing.
    """
    members = members_of(session, step)
    shares = shares_of(session, members)
    mine = shares[session.processes.rank]
    session.learner.train()
    loss = torch.zeros((), device=session.device)
    for positions in mine:
        loss += _add_gradients_of(session, members, positions, step)
    if is_sharded(session.transformer):
        for _ in range(max(map(len, shares)) - len(mine)):
            _pass(session, members, [0], step, 0.0)
    return loss


def update(session: Session, rate: float, loss: Tensor) -> tuple[Tensor, Tensor]:
    """Use up the gradients; what all processes lost, and the gradients' norm before clipping."""
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
    # Recorded passes add to tensors that stay where they are
    session.optimizer.zero_grad(set_to_none=session.graphs is None)
    return loss, norm


def members_of(session: Session, step: int) -> list[int]:
    """The training clips of a step, over all processes; a clip's place in the list is its position
    in the step."""
    config, plan = session.config, session.plan
    epoch, place = divmod(step, plan.steps_per_epoch)
    if config.group_lengths:
        lengths = [clip.latents.shape[1] for clip in session.split.train]
        order = grouped_order(config.seed, epoch, lengths, plan.samples_per_step)
    else:
        order = epoch_order(config.seed, epoch, len(session.split.train))
    return order[place * plan.samples_per_step : (place + 1) * plan.samples_per_step]


def summed_loss(session: Session, members: list[int], positions: list[int], step: int) -> Tensor:
    """The sum of the mean losses of some of a step's clips, which go through the model together."""
    return _batch_loss(session, drawn_batch(session, members, positions, step))


def kept_loss(session: Session, batch: Batch) -> Tensor:
    """How far clips whose prompts lack the tag (:func:`without_tag`) have come from the base: the
    sum of the mean squares (:mod:`acestep.training.untagged`)."""
    transformer, inputs = session.transformer, [vars(batch)[name] for name in _INPUTS]
    with clip_lengths(transformer, batch.patches, batch.conditions), session.autocast():
        with torch.no_grad(), disabled(transformer):
            base = predicted_velocity(transformer, *inputs)
        velocity = predicted_velocity(transformer, *inputs)
    return ((velocity - base).square().mean(dim=2) * batch.weights).sum()


def without_tag(untagged: Untagged, batch: Batch, places: list[int], nothing: Tensor) -> Batch:
    """The same clips and draws with prompts that lack the tag; a clip that has none counts
    nothing. ``places`` are theirs among the clips that are trained on."""
    found = [untagged.of(place) for place in places]
    conditions = [nothing if own is None else own for own in found]
    told = torch.tensor([float(own is not None) for own in found])
    return replace(
        batch,
        condition=together(conditions),
        conditions=tuple(each.shape[1] for each in conditions),
        weights=batch.weights * upload(told, batch.weights.device)[:, None],
    )


def drawn_batch(session: Session, members: list[int], positions: list[int], step: int) -> Batch:
    """Some of a step's clips with their draws; the dropout's random numbers are set for them."""
    config, plan = session.config, session.plan
    clips = [session.split.train[members[position]].to(session.device) for position in positions]
    draws = [
        draw_sample(
            plan.law, clip.latents.shape[1:], plan.condition_dropout, config.seed, step, position
        )
        for clip, position in zip(clips, positions, strict=True)
    ]
    seed_dropout(config.seed, step, positions[0])
    return gather(clips, draws, session.null_condition, session.patch)


def _add_gradients_of(
    session: Session, members: list[int], positions: list[int], step: int
) -> Tensor:
    if session.graphs is None:
        return _pass(session, members, positions, step, 1 / len(members))
    batch = drawn_batch(session, members, positions, step)
    tensors = {name: value for name, value in vars(batch).items() if isinstance(value, Tensor)}
    tensors["weights"] = batch.weights / len(members)
    loss = partial(_loss, session)
    return session.graphs.add_gradients(loss, tensors, batch.patches, batch.conditions)


def _pass(
    session: Session, members: list[int], positions: list[int], step: int, share: float
) -> Tensor:
    """Add a share of some clips' gradients; returns that share of their loss."""
    batch = drawn_batch(session, members, positions, step)
    loss = _batch_loss(session, batch) * share
    loss.backward()
    untagged = session.untagged
    if untagged is None:
        return loss.detach()
    seed_dropout(session.config.seed, step, positions[0])
    places = [members[position] for position in positions]
    batch = without_tag(untagged, batch, places, session.null_condition)
    kept = kept_loss(session, batch) * (untagged.weight * share)
    kept.backward()
    return (loss + kept).detach()


def _batch_loss(session: Session, batch: Batch) -> Tensor:
    with clip_lengths(session.transformer, batch.patches, batch.conditions):
        return _loss(session, vars(batch))


def _loss(session: Session, batch: Mapping[str, Any]) -> Tensor:
    with session.autocast():
        losses = frame_losses(session.learner, *(batch[name] for name in _INPUTS))
    return (losses * batch["weights"]).sum()


def shares_of(session: Session, members: list[int]) -> list[list[list[int]]]:
    """Which positions of a step go through the model together, for each of the processes: about as
    many patches for each. Draws belong to positions, so who computes what changes no result."""
    lengths = [patches_of(session.split.train[member], session.patch) for member in members]
    in_rows = is_sharded(session.transformer)
    at_once = int(session.pace.patches_at_once.value)
    return [
        [
            [positions[place] for place in group]
            for group in groups([lengths[position] for position in positions], at_once)
        ]
        for positions in share_out(lengths, session.processes.world, in_rows=in_rows)
    ]
