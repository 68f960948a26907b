"""Training: rank sampling, optimisers, schedules, the loop, checkpoints."""
