"""What every room stands on: errors, paths, whole files, who acts, the audit trail and the log."""
