"""Everything that takes longer than a page: a job has a folder and a process of its own."""
