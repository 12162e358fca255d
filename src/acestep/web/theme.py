"""How the studio looks: the colours of our pages, system fonts, light and dark.

Nothing is fetched from elsewhere: Gradio's usual fonts come from Google, ours from the machine.
"""

from typing import Any

FONTS = ("system-ui", "-apple-system", "Segoe UI", "Noto Sans KR", "sans-serif")
MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")

CSS = """
.gradio-container { max-width: 76rem !important; width: 100% !important; margin: 0 auto !important; }
.dark { --color-accent: #fb923c !important; }
footer { display: none !important; }
.block:has(> .wrap.hide):has(.prose:empty) { display: none; }
.hero h1 { font-size: 1.6rem; margin: .5rem 0 .1rem; }
.step { font-size: 1.15rem; font-weight: 600; margin-top: 1rem; }
.hero p { color: var(--body-text-color-subdued); margin: 0; }
.problem { border-left: 4px solid var(--error-border-color); padding: .6rem .9rem;
  background: var(--error-background-fill); border-radius: .4rem; overflow-wrap: anywhere; }
.problem .hint, .quiet { color: var(--body-text-color-subdued); margin-top: .3rem; }
.good { border-left: 4px solid #15803d; padding: .6rem .9rem; border-radius: .4rem;
  background: var(--background-fill-secondary); overflow-wrap: anywhere; }
.lights { display: grid; gap: .4rem; }
.light { display: flex; gap: .6rem; align-items: baseline; }
.light .dot { flex: none; width: .8rem; height: .8rem; border-radius: 50%; }
.dot.green { background: #16a34a; } .dot.amber { background: #d97706; } .dot.red { background: #dc2626; }
table.plain { border-collapse: collapse; width: 100%; }
table.plain td { padding: .3rem .6rem; border-bottom: 1px solid var(--border-color-primary);
  overflow-wrap: anywhere; text-align: left; }
.mono textarea, .mono code, pre.mono { font-family: ui-monospace, monospace; font-size: .85rem; }
pre.mono { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; max-height: 22rem; overflow: auto; }
iframe.report { width: 100%; height: 75vh; border: 1px solid var(--border-color-primary);
  border-radius: .5rem; margin-top: .6rem; background: #fff; }
.bar { height: .5rem; border-radius: .25rem; background: var(--border-color-primary); overflow: hidden; }
.bar > div { height: 100%; background: var(--color-accent); }
:focus-visible { outline: 2px solid var(--color-accent) !important; outline-offset: 2px; }
@media (max-width: 640px) {
  .gradio-container { padding: .5rem !important; }
  .row { flex-wrap: wrap !important; }
  .row > * { min-width: 100% !important; }
  table { font-size: .85rem; }
}
"""  # noqa: E501


def theme() -> Any:
    """The Gradio theme."""
    import gradio as gr

    return gr.themes.Base(
        primary_hue=gr.themes.colors.orange,
        secondary_hue=gr.themes.colors.stone,
        neutral_hue=gr.themes.colors.stone,
        font=FONTS,
        font_mono=MONO,
        radius_size=gr.themes.sizes.radius_md,
    ).set(
        body_background_fill="#f7f6f3",
        body_background_fill_dark="#16171b",
        block_background_fill="#ffffff",
        block_background_fill_dark="#1f2127",
        button_primary_background_fill="#9a3412",
        button_primary_background_fill_hover="#7c2d12",
        button_primary_text_color="#ffffff",
        button_primary_background_fill_dark="#c2410c",
        button_primary_background_fill_hover_dark="#9a3412",
        button_primary_text_color_dark="#ffffff",
        slider_color="#9a3412",
        slider_color_dark="#fdba74",
        checkbox_background_color_selected="#9a3412",
        checkbox_background_color_selected_dark="#c2410c",
        color_accent="#9a3412",
        # Gradio's usual grey is too pale to read (WCAG asks for a contrast of 4.5)
        body_text_color_subdued="#57534e",
        body_text_color_subdued_dark="#b8b2ad",
        block_info_text_color="#57534e",
        block_info_text_color_dark="#b8b2ad",
        block_label_text_color="#57534e",
        block_label_text_color_dark="#d6d3d1",
        block_title_text_color="#44403c",
        block_title_text_color_dark="#e7e5e4",
    )
