"""What a nested layer costs and contains. Float only, no gradients."""
