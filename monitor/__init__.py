"""driftgauge: watches machine-learning models in production, by segment, from Kafka."""

__version__ = "0.1.0"
