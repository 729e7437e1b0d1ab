"""A bench for detection: streams with known truth, many seeds, delays and false alarms."""
