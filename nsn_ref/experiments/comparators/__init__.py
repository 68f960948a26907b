"""Rival ways to train one network for many budgets, each a small module, all on the same engine.

A method is a module with ``train(split, setting, seed, **options) -> Family``. What all methods share is in `setting`
(shapes, budgets, optimiser, schedule); a method that the package's training loop cannot express gives its gradients to
`descent.descend`. To add one: a module with its rule, a line in `methods.METHODS`, a page in docs/comparators, a test.
"""
