"""The result as a Comprehensive 3D SR by template TID 1500, as IHE AI Results (AIR) asks for."""

from __future__ import annotations

import numpy as np
from highdicom import UID
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    CoordinatesForMeasurement,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    SourceImageForMeasurementGroup,
    SourceImageForRegion,
    TextContentItem,
    TrackingIdentifier,
)
from pydicom import Dataset
from pydicom.sr.codedict import codes as dictionary

from cxr.exchange.dicom_results import codes
from cxr.exchange.dicom_results.equipment import MANUFACTURER, ResultContext, complete, marked_region
from cxr.exchange.dicom_results.original import PROJECTIONS
from cxr.exchange.dicom_results.reading_result import ClassScore

TITLE = "AI result, research use, not for diagnosis"
_DEVICE_ROOT = "2.25"
MODALITY = "121139"  # the concept, of DICOM's dictionary


def structured_report(context: ResultContext) -> Dataset:
    """The report: what the model found, how it decided, and that it is not for diagnosis."""
    result, header = context.result, context.header
    image = SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID)
    groups: list[MeasurementsAndQualitativeEvaluations] = [_summary(context, image)]
    groups += [_class_score(context, image, score) for score in result.classes]
    region = _region(context)
    measured = MeasurementReport(
        observation_context=_observers(context),
        procedure_reported=codes.CHEST_RADIOGRAPHY,
        imaging_measurements=groups if region is None else [*groups, region],
        title=codes.REPORT,
        referenced_images=[_library_entry(header)],
    )
    _name_modality(measured[0], header.Modality)
    report = Comprehensive3DSR(
        evidence=[header],
        content=measured[0],
        **context.series(0, TITLE),
        is_complete=True,
        is_final=False,
        is_verified=False,
        coding_schemes=[codes.own_scheme()],
        **context.equipment,
    )
    return complete(report, header)


def _library_entry(header: Dataset) -> Dataset:
    """The original as the image library lists it, which viewers such as OHIF look for first.

    The template's entry of a radiograph needs what many files lack; the entry of another kind has all the rest.
    """
    if header.Modality in PROJECTIONS and "PatientOrientation" in header and "ImagerPixelSpacing" in header:
        return header
    entry = Dataset()
    entry.update(header)
    entry.Modality = "OT"
    return entry


def _name_modality(item: Dataset, modality: str) -> None:
    """Write the original's modality into the image library, where another one had to stand in for it."""
    for child in item.get("ContentSequence", []):
        if child.ConceptNameCodeSequence[0].CodeValue == MODALITY and child.ValueType == "CODE":
            known = [getattr(dictionary.cid29, keyword) for keyword in dictionary.cid29.dir()]
            for code in (code for code in known if code.value == modality):
                child.ConceptCodeSequence = [CodedConcept.from_code(code)]
        _name_modality(child, modality)


def _whole_image(context: ResultContext) -> list[CoordinatesForMeasurement]:
    """The frame of the original, which a number of the image as a whole is of: viewers draw what has a place."""
    header = context.header
    width, height = float(header.Columns), float(header.Rows)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height], [0, 0]])
    source = SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID)
    return [CoordinatesForMeasurement(GraphicTypeValues.POLYLINE, corners, source)]


def _ratio(context: ResultContext, name: CodedConcept, value: float) -> Measurement:
    """A number from 0 to 1 of the image as a whole."""
    return Measurement(name, value, codes.RATIO, referenced_coordinates=_whole_image(context))


def _observers(context: ResultContext) -> ObservationContext:
    """The model as the device that observed; its identifier follows from the digest of its weights."""
    result = context.result
    uid = UID(f"{_DEVICE_ROOT}.{int(result.weights_sha256[:32] or '1', 16)}")
    device = DeviceObserverIdentifyingAttributes(
        uid=uid,
        name=result.model[:64],
        manufacturer_name=MANUFACTURER,
        model_name=result.model[:64],
        serial_number=result.version[:64],
    )
    return ObservationContext(ObserverContext(dictionary.DCM.Device, device))


def _algorithm(context: ResultContext) -> AlgorithmIdentification:
    result = context.result
    parameters = [f"weights sha256 {result.weights_sha256}", f"software cxr {result.software}"]
    parameters += [f"X-ray ID {result.film_id}"]
    parameters += [] if result.threshold is None else [f"threshold {result.threshold:.4f}"]
    return AlgorithmIdentification(result.model[:64], result.version, parameters=parameters, manufacturer=MANUFACTURER)


def _summary(context: ResultContext, image: SourceImageForMeasurementGroup) -> MeasurementsAndQualitativeEvaluations:
    """The decision on the image as a whole, with its probability, threshold, input check, use and sentences."""
    result = context.result
    evaluations = [
        QualitativeEvaluation(codes.INPUT_CHECK, codes.INPUT_CHECK_OUTCOMES[result.input_check]),
        QualitativeEvaluation(codes.USE, codes.RESEARCH_ONLY),
    ]
    measurements, finding = [], codes.FINDING_OF_IMAGE
    if result.finding is not None:
        finding = codes.class_code(result.finding.key, result.finding.name)
        measurements.append(_ratio(context, codes.PROBABILITY, result.finding.probability))
        if result.threshold is not None:
            measurements.append(_ratio(context, codes.THRESHOLD, result.threshold))
    if decision := codes.DECISIONS.get(result.decision):
        evaluations.insert(0, QualitativeEvaluation(codes.PRESENCE, decision))
    if result.decision in ("class", "positive"):
        evaluations.append(QualitativeEvaluation(codes.PREDICTED_CLASS, _predicted(context)))
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(context.tracking_uid, "result"),
        finding_type=finding,
        algorithm_id=_algorithm(context),
        finding_sites=[FindingSite(codes.LUNG)],
        measurements=measurements or None,
        qualitative_evaluations=evaluations,
        source_images=[image],
    )
    notice = [result.notice] if result.notice else []
    sentences = [result.disclaimer, *notice, result.sentence, *result.warnings, *result.limitations]
    for sentence in sentences:
        comment = TextContentItem(codes.COMMENT, sentence[:1024], RelationshipTypeValues.CONTAINS)
        group[0].ContentSequence.append(comment)
    return group


def _predicted(context: ResultContext) -> CodedConcept:
    score = next(score for score in context.result.classes if score.key == context.result.predicted)
    return codes.class_code(score.key, score.name)


def _class_score(
    context: ResultContext, image: SourceImageForMeasurementGroup, score: ClassScore
) -> MeasurementsAndQualitativeEvaluations:
    """The probability of one class."""
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(UID(), f"class {score.key}"[:64]),
        finding_type=codes.class_code(score.key, score.name),
        algorithm_id=_algorithm(context),
        finding_sites=[FindingSite(codes.LUNG)],
        measurements=[_ratio(context, codes.PROBABILITY, score.probability)],
        source_images=[image],
    )


def _region(context: ResultContext) -> PlanarROIMeasurementsAndQualitativeEvaluations | None:
    """The outline of the heatmap's peak; None where it says nothing about a finding."""
    result, header = context.result, context.header
    outline = marked_region(context)
    if outline is None:
        return None
    source = SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID)
    activation = codes.GRADIENT_ACTIVATION if result.gradient_weighted else codes.CLASS_ACTIVATION
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(UID(), "heatmap above half its peak"),
        referenced_region=ImageRegion(GraphicTypeValues.POLYLINE, outline, source),
        finding_type=_predicted(context),
        method=activation,
        algorithm_id=_algorithm(context),
        finding_sites=[FindingSite(codes.LUNG)],
        qualitative_evaluations=[QualitativeEvaluation(codes.USE, codes.RESEARCH_ONLY)],
    )
