"""Planted bugs: what the suite must catch.

`mechanical` makes mutants from a port's text without knowing what it means; `hand` lists mistakes that people make.
`run` checks each one against the suite, and `matrix` writes down what was caught.
"""
