"""Errors, paths, atomic files, number formats, access control, the audit trail and the log; every room uses them."""
