"""Work that takes longer than a page can wait: each job has its own folder and process."""
