"""Drift watch: what a model in use reads, counted by week, and whether that has left what validation X-rays showed."""
