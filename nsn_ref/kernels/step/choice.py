"""Which compiled step a network takes."""

from nsn_ref.kernels.step import conv, mlp
from nsn_ref.nets.convnet import ConvNet


def unfit(net):
    """Why there is no compiled step for a network; None if there is one."""
    return (conv if isinstance(net, ConvNet) else mlp).unfit(net)


def make_step(net, dtype, shape, **options):
    """The compiled step of a network for which nothing is `unfit`.

    Parameters
    ----------
    net : MLP or ConvNet
    dtype : {float32, float64}
    shape : tuple of int
        Of the largest batch.
    **options
        As for `CompiledStep`.

    Returns
    -------
    CompiledStep

    Raises
    ------
    OptionError, ShapeError, NSNError
    """
    rows, *row = shape
    if isinstance(net, ConvNet):
        return conv.ConvStep(net, dtype, rows=rows, image=tuple(row[1:]), **options)
    return mlp.MLPStep(net, dtype, rows=rows, **options)
