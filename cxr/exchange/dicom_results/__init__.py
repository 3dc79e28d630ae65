"""The result of a reading as DICOM objects in the study of the original, made by a process of its own."""
