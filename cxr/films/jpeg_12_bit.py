"""JPEG of 12 bits inside DICOM (JPEG Extended, process 4), decoded by gdcm.

pydicom's own call of gdcm refuses this depth, which older versions decoded wrongly. This one decodes it as dcmtk does:
`tests/films/test_jpeg_lossless.py` compares the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from cxr.films.read_failure import ReadFailure


def decode_12_bit(frame: bytes, dataset: Dataset) -> NDArray[Any]:
    """The gray values (rows, columns) of a stream whose frame header was checked against the data set."""
    import gdcm  # late: optional

    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((int(dataset.Columns), int(dataset.Rows), 1))
    image.SetDataElement(element)
    color = gdcm.PhotometricInterpretation.GetPIType(str(dataset.PhotometricInterpretation))
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(color))
    syntax = gdcm.TransferSyntax.GetTSType(str.__str__(dataset.file_meta.TransferSyntaxUID))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    bits = int(dataset.BitsStored)
    signed = int(dataset.PixelRepresentation)
    image.SetPixelFormat(gdcm.PixelFormat(1, int(dataset.BitsAllocated), bits, bits - 1, signed))
    decoded = image.GetBuffer().encode("utf-8", "surrogateescape")  # SWIG returns bytes as a string
    if len(decoded) != 2 * int(dataset.Rows) * int(dataset.Columns):
        raise ReadFailure.DAMAGED_DICOM.error
    return np.frombuffer(decoded, "<i2" if signed else "<u2").reshape(int(dataset.Rows), int(dataset.Columns))
