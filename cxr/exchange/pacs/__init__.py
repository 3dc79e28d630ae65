"""The archive of a hospital (PACS): searched, read from and written to by DICOMweb, as its operator configured."""
