"""Sums whose order the compiler may choose: it adds in vectors then, some twenty times as fast as one by one.

That is all it may do: NaN and infinity stay what they are, as they would not under fastmath. The error bounds of
`certify.rounding` hold for every order.
"""

from numba.extending import intrinsic, overload

from nsn_ref.kernels.common import compiled


def add(total, term):
    """Total + term, for a sum that may be taken in any order."""
    return total + term


@intrinsic
def _add_in_any_order(typingctx, total, term):
    def codegen(context, builder, signature, values):
        return builder.fadd(*values, flags=("reassoc",))

    return total(total, total), codegen


@overload(add)
def _compiled_add(total, term):
    return lambda total, term: _add_in_any_order(total, term)


@compiled
def sum_of_squares(x):
    """The sum of the squares of an array on one axis, accumulated in float64."""
    total = 0.0
    for i in range(x.size):
        total = add(total, float(x[i] * x[i]))
    return total
