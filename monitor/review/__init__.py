"""What is worth a human look: edge cases and an audit sample, drawn as predictions and labels come. Pure."""
