"""What would have been decided: history is played through the same flow as live, in memory, and what came of it is told."""
