"""From counts to verdicts: pure arithmetic over all segments, signals and statistics at once."""
