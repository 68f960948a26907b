"""Mistakes that people make, planted by hand in the text of `nsn_ref.golden.mutants.victim`."""

from nsn_ref.golden.mutants.hand import decoder, layers, linear, losses, objective, optimiser, precision, state
from nsn_ref.golden.mutants.hand.planting import Mistake, victim_text

__all__ = ["MUTANTS", "Mistake", "victim_text"]

MUTANTS = tuple(
    mistake
    for module in (linear, layers, decoder, losses, objective, optimiser, state, precision)
    for mistake in module.MISTAKES
)
