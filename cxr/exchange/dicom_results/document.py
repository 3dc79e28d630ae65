"""The report of a reading as an encapsulated PDF."""

from __future__ import annotations

from highdicom.base import SOPClass
from pydicom import Dataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from cxr.exchange.dicom_results.equipment import ResultContext, complete

TITLE = "AI report, research use, not for diagnosis"


def encapsulated_pdf(context: ResultContext) -> Dataset:
    """The PDF as a document of the original's study."""
    header, result = context.header, context.result
    document = SOPClass(
        study_instance_uid=header.StudyInstanceUID,
        sop_class_uid=EncapsulatedPDFStorage,
        modality="DOC",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        patient_id=header.PatientID,
        patient_name=header.PatientName,
        patient_birth_date=header.PatientBirthDate,
        patient_sex=header.PatientSex,
        accession_number=header.AccessionNumber,
        study_id=header.StudyID,
        study_date=header.StudyDate,
        study_time=header.StudyTime,
        referring_physician_name=header.ReferringPhysicianName,
        **context.series(4, TITLE),
        **context.equipment,
    )
    document.ConversionType = "WSD"
    document.AcquisitionDateTime = result.created.strftime("%Y%m%d%H%M%S")
    document.BurnedInAnnotation = header.BurnedInAnnotation  # the page shows the original
    document.DocumentTitle = TITLE
    document.ConceptNameCodeSequence = []
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocumentLength = len(context.pdf)
    document.EncapsulatedDocument = context.pdf + b"\0" * (len(context.pdf) % 2)
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    document.SourceInstanceSequence = [source]
    return complete(document, header)
