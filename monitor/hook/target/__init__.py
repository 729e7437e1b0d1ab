"""What the hook can start: an HTTP request, a local command, a Kafka event."""
