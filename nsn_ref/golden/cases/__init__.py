"""The table of cases: what each one is, and which mistake it is there to catch.

A case's id is permanent and its committed inputs never change; a better case gets a new number.
"""

from nsn_ref.golden.cases import (
    decoder,
    functions,
    gemm,
    images,
    layers,
    linear,
    mlp_step,
    nets,
    objective,
    sessions,
    weights,
)
from nsn_ref.golden.cases.case import PREFIXES, Case

DTYPES = tuple(PREFIXES)
FAMILIES = (linear, objective, mlp_step, layers, images, functions, weights, nets, gemm, sessions, decoder)
DESIGNS = tuple(design for family in FAMILIES for design in family.DESIGNS)
CASES = tuple(Case(dtype, design) for dtype in DTYPES for design in DESIGNS if dtype in design.formats)
