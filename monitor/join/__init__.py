"""The join of predictions with labels that come later, out of order, twice, revised, or never."""
