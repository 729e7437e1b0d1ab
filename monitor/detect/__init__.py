"""Sequential detection: evidence panes in, alarms with a guaranteed rate of false ones out."""
