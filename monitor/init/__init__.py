"""A first configuration, from a look at a user's own events."""
