"""A small model server for deploy/compose.yaml: answers over HTTP and logs each prediction to Kafka."""
