"""The frozen baseline: built offline or learned from production, versioned and fingerprinted."""
