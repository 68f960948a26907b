"""The truth of linear operations at any size: exact products of integers, rounded once."""

from nsn_ref.certify.limbs import Limbs, width
from nsn_ref.golden.custom import linear


def expected(op, inputs, attrs):
    """The outputs of a linear operation, correctly rounded to float64, by the fastest of its formulas."""
    w = width(max(max(x.shape, default=1) for x in map(_flat, inputs.values())))
    t = linear.layer(inputs, attrs, lambda x: ExactLimbs.from_floats(x, w))
    outputs = linear.formulas(op)[0](t)
    return linear.arrays(outputs, inputs, Limbs.to_floats)


def _flat(x):
    return x.reshape(-1, x.shape[-1])


class ExactLimbs(Limbs):
    """`Limbs`, to which it makes no difference where a port stores."""

    def stored(self):
        """The same."""
        return self
