"""Taught guidance: the prediction that meets the loss is the guided one."""

import torch
from torch import nn

from acestep.model.flow import frame_losses
from acestep.training.guidance import TaughtGuidance, less_guidance

TOLD, NOTHING = torch.ones(1, 2, 4), torch.zeros(1, 1, 4)


class Two(nn.Module):
    """One learnt velocity with a prompt, another, fixed one without."""

    def __init__(self):
        super().__init__()
        self.told = nn.Parameter(torch.zeros(3))
        self.untold = nn.Parameter(torch.tensor([0.5, -1.0, 0.0]))
        self.calls = []

    def forward(self, *, hidden_states, encoder_hidden_states, **_):
        told = bool(encoder_hidden_states.any())
        self.calls.append((told, torch.is_grad_enabled()))
        velocity = self.told if told else self.untold
        return (velocity.expand_as(hidden_states),)


def losses(model, target):
    shape = (1, 5, 3)
    return frame_losses(
        model, torch.zeros(shape), target.expand(shape), torch.ones(1), TOLD, torch.zeros(1, 5, 6)
    )


def test_what_meets_the_loss_is_the_guided_velocity():
    model, target = Two(), torch.tensor([1.0, 2.0, -3.0])
    taught = TaughtGuidance(model, NOTHING, 2.5)
    optimizer = torch.optim.SGD([model.told], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        losses(taught, target).sum().backward()
        optimizer.step()
    untold = model.untold.detach()
    guided = untold + 2.5 * (target - untold)
    torch.testing.assert_close(model.told.detach(), guided, rtol=0, atol=1e-3)
    assert model.untold.grad is None
    assert set(model.calls) == {(True, True), (False, False)}


def test_a_scale_of_one_is_the_plain_loss():
    model, target = Two(), torch.tensor([1.0, 2.0, -3.0])
    assert torch.equal(losses(TaughtGuidance(model, NOTHING, 1.0), target), losses(model, target))
    velocity, untold = torch.randn(2, 3), torch.randn(2, 3)
    assert torch.equal(less_guidance(velocity, untold, 1.0), velocity)


def test_it_follows_its_transformer_into_evaluation_and_back():
    taught = TaughtGuidance(nn.Dropout(), NOTHING, 2.0)
    assert not taught.eval().transformer.training and taught.train().transformer.training
    assert taught.state_dict() == {}
