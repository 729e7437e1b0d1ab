"""A small model server for deploy/compose.yaml: answers over HTTP and logs each prediction, and what became of it, to Kafka."""
