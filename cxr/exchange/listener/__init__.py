"""X-rays that a modality or PACS sends by the DICOM protocol: received, read, and answered with their results."""
