"""The project's own ports: the reference, and the Numba engine, which is checked when no port is named."""

from nsn_ref.golden.evaluate import Engine, as_arrays, evaluate
from nsn_ref.golden.evaluate import reference as reference_engine


class OwnPort:
    """An engine as a port; it is made when first used, so that Numba is not loaded before."""

    def __init__(self, make_engine):
        self._make_engine = make_engine

    def run(self, op, inputs, attrs):
        """Outputs of one operation."""
        return as_arrays(evaluate(self._make_engine(), op, inputs, attrs))


def _numba_engine():
    from nsn_ref import kernels

    return Engine(kernels, kernels.adamw_step)


reference = OwnPort(reference_engine)
engine = OwnPort(_numba_engine)
