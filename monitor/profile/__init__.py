"""From columns to counts: bins, panes and windows, all of them sums."""
