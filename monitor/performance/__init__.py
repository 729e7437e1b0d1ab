"""Performance: what labels say about a model, as pure functions of counts, for all segments at once."""
