"""Model cards for others: a readable page, a folder for Hugging Face, and the checklists that journals ask for."""
