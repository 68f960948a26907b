"""The table of cases: what each one is, and which mistake it is there to catch.

A case's id is permanent and its committed inputs never change; a better case gets a new number.
"""

from nsn_ref.golden.cases import linear, mlp_step, objective
from nsn_ref.golden.cases.case import Case

DTYPES = ("float64", "float32")

CASES = tuple(
    Case(dtype, design) for dtype in DTYPES for design in (*linear.DESIGNS, *objective.DESIGNS, *mlp_step.DESIGNS)
)
