"""Handlers whose parameters bear the knobs' names, so that the API can be called by name."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import gradio as gr


def named(handler: Callable[..., Any], names: Iterable[str], *, request: bool = False) -> Any:
    """The handler with a signature of its own: ``*values`` become parameters of these names.

    With ``request`` it is given the browser's request first. Gradio reads signatures to name the
    parameters of an endpoint, and to know where the request goes.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    # Nothing for a default: an endpoint's caller may leave out what is empty on the page
    parameters = [inspect.Parameter(name, kind, default=None) for name in names]
    if request:
        asking = inspect.Parameter("request", kind, annotation=gr.Request)
        parameters.insert(0, asking)

    def call(*values: Any) -> Any:
        return handler(*values)

    call.__name__ = handler.__name__
    call.__doc__ = handler.__doc__
    call.__annotations__ = {"request": gr.Request} if request else {}
    vars(call)["__signature__"] = inspect.Signature(parameters)
    return call
