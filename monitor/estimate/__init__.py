"""Estimate without labels: what the model's error rate is while its labels are still on their way, with an interval."""
