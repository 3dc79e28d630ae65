"""The result as images: a secondary capture for any viewer, and the heatmap's numbers as a parametric map."""

from __future__ import annotations

import numpy as np
from highdicom import (
    ContentQualificationValues,
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
    VOILUTTransformation,
)
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sc import SCImage
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from cxr.exchange.dicom_results import codes
from cxr.exchange.dicom_results.equipment import ResultContext, complete

CAPTURE_TITLE = "AI overlay, research use, not for diagnosis"
MAP_TITLE = "AI heatmap, research use, not for diagnosis"


def secondary_capture(context: ResultContext) -> Dataset:
    """The overlay with scores and disclaimer burned in."""
    header, capture = context.header, context.capture
    assert capture is not None
    series = context.series(1, CAPTURE_TITLE)
    image = SCImage.from_ref_dataset(
        ref_dataset=header,
        pixel_array=np.ascontiguousarray(capture),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **series,
        **context.equipment,
    )
    image.Modality = "OT"
    image.ConversionType = "WSD"
    image.ImageType = ["DERIVED", "SECONDARY"]
    image.BurnedInAnnotation = "YES"
    image.PatientOrientation = None  # that of the original is not repeated
    image.DerivationDescription = context.result.disclaimer[:1024]
    image.ImageComments = f"{context.result.notice} {context.result.sentence}".strip()[:1024]
    image.SourceImageSequence = [_reference(header)]
    return complete(image, header)


def parametric_map(context: ResultContext) -> Dataset:
    """The heatmap, cell by cell, from 0 to 1; its cells cover the whole original."""
    header, heatmap = context.header, context.heatmap
    assert heatmap is not None
    rows, columns = heatmap.shape
    source = Dataset()
    source.update(header)
    source.Rows, source.Columns = rows, columns
    # A map needs a place in space, which a radiograph has not: its frame of reference is its own, shared with nothing.
    source.FrameOfReferenceUID = context.map_uid
    source.ImagePositionPatient, source.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    source.PixelSpacing, source.SliceThickness = [float(header.Rows) / rows, float(header.Columns) / columns], 1.0
    activation = codes.GRADIENT_ACTIVATION if context.result.gradient_weighted else codes.CLASS_ACTIVATION
    mapping = RealWorldValueMapping(
        lut_label="HEATMAP",
        lut_explanation=context.result.heatmap_title[:64],
        unit=codes.RATIO,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=activation,
    )
    image = ParametricMap(
        source_images=[source],
        pixel_array=heatmap.astype(np.float32),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[VOILUTTransformation(window_center=0.5, window_width=1.0)],
        content_qualification=ContentQualificationValues.RESEARCH,
        content_label="HEATMAP",
        content_description=context.result.heatmap_title[:64],
        pixel_measures=PixelMeasuresSequence(pixel_spacing=source.PixelSpacing, slice_thickness=1.0),
        plane_orientation=PlaneOrientationSequence("PATIENT", [1, 0, 0, 0, 1, 0]),
        plane_positions=[PlanePositionSequence("PATIENT", [0, 0, 0])],
        **context.series(2, MAP_TITLE),
        **context.equipment,
    )
    return complete(image, header)


def _reference(header: Dataset) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = header.SOPClassUID
    reference.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return reference
