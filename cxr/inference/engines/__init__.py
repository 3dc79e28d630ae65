"""Engines that run a backbone for a single film."""
