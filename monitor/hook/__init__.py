"""The retraining hook: from Alertmanager's webhook to one start of a pipeline per trigger."""
