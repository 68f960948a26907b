"""Dense networks that cost as much as a nested one does at some rank."""

from nsn_ref.analysis.cost import dense_cost
from nsn_ref.analysis.linear_layers import linear_layers
from nsn_ref.nets.mlp import MLP


def dense_mlp(widths):
    """A network without factors."""
    return MLP(widths, 1, nested=(False,) * (len(widths) - 1))


def dense_net(d_in, width, depth, classes):
    """A network without factors, its `depth` hidden layers of one width."""
    return dense_mlp((d_in, *(width,) * depth, classes))


def dense_flops(net):
    """FLOPs of a network without factors, for one row."""
    return dense_cost(linear_layers(net, (1, net.widths[0]))).flops


def matched_width(flops, net_of):
    """The width whose network without factors, `net_of(width)`, comes nearest to a number of FLOPs."""

    def distance(width):
        return abs(dense_flops(net_of(width)) - flops)

    width = 1
    while distance(width + 1) < distance(width):
        width += 1
    return width
