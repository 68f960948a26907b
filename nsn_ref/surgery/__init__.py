"""From dense weights to nested factors."""
