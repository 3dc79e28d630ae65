"""Errors, paths, atomic files, number formats, access control, the audit trail and the log; every package uses them."""
