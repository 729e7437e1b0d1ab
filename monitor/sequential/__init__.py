"""Sequential detection in the flow: evidence panes, labels, alarms and what is kept of them, per model version."""
