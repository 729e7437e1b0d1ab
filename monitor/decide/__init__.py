"""Decides, from what was concluded about a model, whether it must be retrained; pure, and in event time."""
