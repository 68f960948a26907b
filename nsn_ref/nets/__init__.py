"""Networks: explicit chains of operations with hand-written backward passes."""
