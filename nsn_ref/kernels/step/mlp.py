"""The compiled training step of a multilayer perceptron."""

import math

from nsn_ref.errors import OptionError
from nsn_ref.kernels.step.compiled import CompiledStep
from nsn_ref.kernels.step.layout import layout
from nsn_ref.nets.mlp import MLP


class MLPStep(CompiledStep):
    """The step of a perceptron with relu activations and a nested layer.

    Parameters
    ----------
    net : MLP
    dtype, **options
        As for `CompiledStep`.
    """

    def __init__(self, net, dtype, **options):
        if (reason := unfit(net)) is not None:
            raise OptionError(f"MLPStep: {reason}, expected a multilayer perceptron with a nested layer and relu")
        self._row_shape = net.widths[:1]
        super().__init__(net, dtype, **options)

    def _multiply_adds(self):
        return sum(math.prod(shape) for shape in self.net.shapes().values())

    def _lay_out(self, ranks, rows, names, dtype):
        return layout(self.net, ranks, rows, names)


def unfit(net):
    """Why a network is none of those that the step is written for; None if it is."""
    if not isinstance(net, MLP) or not any(net.nested):
        return "the network is no multilayer perceptron with a nested layer"
    if net.activation != "relu" and len(net.widths) > 2:
        return f"the activation is {net.activation!r}"
    return None
