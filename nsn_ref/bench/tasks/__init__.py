"""What else a worker does: parts of a step, single operations, a training in a process of its own."""
