"""A slider over the range that the guide recommends, which takes values outside of it too."""

from typing import Any

import gradio as gr

class RecommendedSlider(gr.Slider):
    """Gradio's slider, without its refusal of values beyond its ends.

    The range is the guide's recommendation; what makes sense at all is for the config to judge, and
    recommended or programmed values may lie outside.
    """

    is_template = True  # shown as a Slider

    def preprocess(self, payload: float) -> Any:
        """The value as it came, whole where the slider's step is."""
        if payload is None:
            return None
        return int(payload) if float(payload).is_integer() else float(payload)
    from collections.abc import Callable, Sequence
    from typing import TYPE_CHECKING, Any, Literal

    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component