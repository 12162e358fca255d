"""Handlers whose parameters bear names of their own."""

import inspect

import gradio as gr

from acestep.web.named import named


def test_values_come_in_the_order_of_their_names():
    def order(*values):
        """Order something."""
        return values

    handler = named(order, ["rank", "alpha"])
    assert list(inspect.signature(handler).parameters) == ["rank", "alpha"]
    assert handler(1, 2) == (1, 2) and handler.__doc__ == "Order something."


def test_the_request_comes_first_where_it_is_asked_for():
    handler = named(lambda request, *values: (request, values), ["a"], request=True)
    first, second = inspect.signature(handler).parameters.values()
    assert first.annotation is gr.Request and second.default is None
    assert handler("asked", 3) == ("asked", (3,))
