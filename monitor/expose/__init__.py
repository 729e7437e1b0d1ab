"""From verdicts and bookkeeping to bytes: metrics, the JSON API, health and the status page."""
