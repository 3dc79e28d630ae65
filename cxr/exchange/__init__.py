"""Models in the formats of other programs (Keras, ONNX, TFLite), each checked against the model before it is given out.

Everything that leaves for, or comes from, another system goes through this room: it is where DICOM result objects,
DICOMweb and model cards for publication belong.
"""
