"""What the user writes: one YAML file, validated at once, frozen from then on."""

from monitor.config.evaluation import STATISTICS, Evaluation, Thresholds
from monitor.config.labels import Cost, LabelPrediction, Labels
from monitor.config.model import (
    PREDICTED_CLASS,
    SCORE,
    Duplicates,
    Feature,
    ModelConfig,
    Predictions,
    RiverDetector,
    Segments,
    Windows,
)
from monitor.config.retraining import Controls, QuietHours, Retraining
from monitor.config.root import Alerts, BasicAuth, Config, Http, State, Tls, load_config, parse_config
from monitor.config.source import Security, SourceConfig
from monitor.config.types import EventTime, Secret, format_duration, parse_duration

__all__ = [
    "PREDICTED_CLASS", "SCORE", "STATISTICS",
    "Alerts", "BasicAuth", "Config", "Controls", "Cost", "Duplicates", "Evaluation", "EventTime", "Feature", "Http", "LabelPrediction",
    "Labels", "ModelConfig", "Predictions", "QuietHours", "Retraining", "RiverDetector", "Secret", "Security", "Segments",
    "SourceConfig", "State", "Thresholds", "Tls", "Windows", "format_duration", "load_config", "parse_config", "parse_duration",
]  # fmt: skip
