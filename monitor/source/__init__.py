"""Kafka (by two clients) and files, behind one interface."""
