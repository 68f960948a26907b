"""The compiled training step of a convolutional net."""

import math

from nsn_ref import checks
from nsn_ref.errors import OptionError
from nsn_ref.kernels.step.compiled import CompiledStep
from nsn_ref.kernels.step.image_layout import image_layout
from nsn_ref.nets.convnet import ConvNet


class ConvStep(CompiledStep):
    """The step of a convolutional net with relu activations and a nested layer.

    Parameters
    ----------
    net : ConvNet
    dtype, **options
        As for `CompiledStep`.
    image : (int, int)
        Height and width of the images.
    """

    def __init__(self, net, dtype, *, image, **options):
        if (reason := unfit(net)) is not None:
            raise OptionError(f"ConvStep: {reason}, expected a convolutional net with a nested layer and relu")
        image = checks.pair("ConvStep", "image", image, 1)
        self._row_shape = (net.channels[0], *image)
        net.logits_shape((1, *self._row_shape))  # refuses what the pools do not divide
        super().__init__(net, dtype, **options)

    def _multiply_adds(self):
        """As if nothing was pooled."""
        return sum(map(math.prod, self.net.shapes().values())) * math.prod(self._row_shape[1:])

    def _lay_out(self, ranks, rows, names, dtype):
        return image_layout(self.net, self._row_shape[1:], ranks, rows, names, dtype.itemsize)


def unfit(net):
    """Why a network is none of those that the step is written for; None if it is."""
    if not isinstance(net, ConvNet) or not any(net.nested):
        return "the network is no convolutional net with a nested layer"
    if net.activation != "relu":
        return f"the activation is {net.activation!r}"
    return None
