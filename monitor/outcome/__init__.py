"""Outcomes: what labels say about predictions, as counts. What is counted, per row and per pane, and its sums by segment."""
