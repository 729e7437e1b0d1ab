"""Labels meet the predictions that they are about."""
