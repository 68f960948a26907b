"""The layers of networks, and their costs, counted by hand."""

from nsn_ref import MLP, ConvNet
from nsn_ref.analysis.linear_layers import linear_layers, network_flops


def test_layers_of_networks():
    net = ConvNet((3, 5, 7), 2, 4)  # on 6 x 10 pixels, then 3 x 5 after the pool
    layers = linear_layers(net, (11, 3, 6, 10))
    assert [tuple(layer) for layer in layers] == [(3 * 9, 5, 4, 60), (5 * 9, 7, 4, 15), (7, 2, None, 1)]
    assert network_flops(layers, 3) == 2 * (60 * 3 * (27 + 5) + 15 * 3 * (45 + 7) + 7 * 2)
    dense = linear_layers(MLP((5, 7, 3), 1, nested=(False, False)), (4, 5))
    assert network_flops(dense, 1) == 2 * (5 * 7 + 7 * 3)
    sequence = linear_layers(MLP((5, 7, 3), 6), (4, 9, 5))  # nine tokens in each example
    assert network_flops(sequence, 2) == 9 * 2 * (2 * (5 + 7) + 7 * 3)
