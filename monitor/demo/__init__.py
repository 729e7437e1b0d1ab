"""The demonstration: a year of real flights, a small model, an embedded broker, and the monitor beside them."""
