"""The result as a presentation state: the original itself, with the outline and the scores drawn over it."""

from __future__ import annotations

from textwrap import wrap

from highdicom.pr import (
    GraphicAnnotation,
    GraphicLayer,
    GraphicObject,
    GrayscaleSoftcopyPresentationState,
    TextObject,
)
from pydicom import Dataset

from cxr.exchange.dicom_results.equipment import ResultContext, complete, marked_region

TITLE = "AI annotation, research use, not for diagnosis"
_LEFT, _RIGHT, _LINE = 0.02, 0.98, 0.03  # shares of the displayed area
_LETTERS, _NOTICE_LINES = 100, 8  # of a line; of what comes before the disclaimer


def presentation_state(context: ResultContext) -> Dataset:
    """The annotation of a gray original: scores and disclaimer as text, the heatmap's peak as an outline."""
    result, header = context.result, context.header
    layer = GraphicLayer("AI_RESULT", 1, description=TITLE)
    lines = wrap(result.notice, _LETTERS, max_lines=_NOTICE_LINES)
    lines += [result.disclaimer, result.sentence, f"{result.heatmap_title} (outline: above half the peak)"]
    texts = [
        TextObject(
            text_value=line,
            units="DISPLAY",
            bounding_box=(_LEFT, 0.02 + _LINE * row, _RIGHT, 0.02 + _LINE * (row + 1)),
            text_justification="LEFT",
        )
        for row, line in enumerate(lines)
    ]
    outline = marked_region(context)
    graphics = [] if outline is None else [GraphicObject("POLYLINE", outline, units="PIXEL")]
    annotation = GraphicAnnotation([header], layer, graphic_objects=graphics, text_objects=texts)
    state = GrayscaleSoftcopyPresentationState(
        referenced_images=[header],
        content_label="AI_RESULT",
        content_description=TITLE[:64],
        graphic_annotations=[annotation],
        graphic_layers=[layer],
        **context.series(3, TITLE),
        **context.equipment,
    )
    state.update(context.gray_levels)
    return complete(state, header)
