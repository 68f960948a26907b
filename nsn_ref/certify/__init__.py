"""How results are certified: complex steps, balls, rounding-error bounds."""
