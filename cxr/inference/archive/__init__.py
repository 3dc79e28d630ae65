"""Archives of X-rays: listed, read by a model in constant memory, and stored as Parquet files that are read lazily."""
