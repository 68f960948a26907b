"""What layers and networks cost: multiply-adds, FLOPs, parameters and bytes, for one example.

A multiply-add is two FLOPs. Bias additions are not counted as arithmetic, biases are counted as parameters. All figures
are exact integers.
"""

from typing import NamedTuple

from nsn_ref import checks
from nsn_ref.errors import RankError

BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8_e4m3fn": 1, "float8_e5m2": 1}


class Layer(NamedTuple):
    """Shape of a linear layer. A k x k convolution is one with d_in = k k channels, at every output pixel."""

    d_in: int
    d_out: int
    R: int | None = None  # components stored; None: dense
    positions: int = 1  # input vectors for one example: tokens, or output pixels


class Cost(NamedTuple):
    """Arithmetic for one example, and storage."""

    multiply_adds: int
    parameters: int
    bytes: int

    @property
    def flops(self):
        """Two for each multiply-add."""
        return 2 * self.multiply_adds


class Transformer(NamedTuple):
    """Shape of a GPT-NeoX decoder: biased projections, two layer norms in each block, an untied head without bias."""

    hidden: int
    intermediate: int
    blocks: int
    vocabulary: int


PYTHIA_2_8B = Transformer(hidden=2560, intermediate=10240, blocks=32, vocabulary=50304)


def break_even_rank(d_in, d_out):
    """The rank d_in d_out / (d_in + d_out) above which a nested layer needs more multiply-adds than a dense one.

    Parameters
    ----------
    d_in, d_out : int, >= 1

    Returns
    -------
    float
        Seldom an integer: the last rank that saves anything lies below it.

    Raises
    ------
    OptionError

    Notes
    -----
    Source: arXiv:2509.17874v1, sec. 2.1.

    Claims: CST-1, CST-3.
    """
    _check_layer("break_even_rank", Layer(d_in, d_out))
    return d_in * d_out / (d_in + d_out)


def layer_cost(layer, rank=None, *, dtype="float32", cached=False):
    """Cost of one layer.

    Parameters
    ----------
    layer : Layer
    rank : int, in 1..R, or None where the layer is dense
    dtype : str
        One of `BYTES`.
    cached : bool
        Above the break-even rank, run and store the product W_r instead of its factors.

    Returns
    -------
    Cost

    Raises
    ------
    RankError, OptionError

    Notes
    -----
    Source: arXiv:2509.17874v1, sec. 2.1: r (d_in + d_out) multiply-adds for each input vector.

    Claims: CST-1, CST-2, CST-3.
    """
    checks.choice("layer_cost", "dtype", dtype, BYTES)
    _check_layer("layer_cost", layer)
    weights = layer.d_in * layer.d_out
    if layer.R is None:
        if rank is not None:
            raise RankError(f"layer_cost: rank is {rank!r}, expected None for a dense layer")
    else:
        checks.rank("layer_cost", rank, layer.R)
        factors = rank * (layer.d_in + layer.d_out)
        weights = min(factors, weights) if cached else factors
    parameters = weights + layer.d_out
    return Cost(weights * layer.positions, parameters, parameters * BYTES[dtype])


def network_cost(layers, rank, *, dtype="float32", cached=False):
    """Cost of a network with its nested layers at one rank; a layer that stores fewer components runs with all it has.

    Parameters
    ----------
    layers : sequence of Layer
    rank : int, in 1..(the largest R of the layers)
    dtype, cached
        As in `layer_cost`.

    Returns
    -------
    Cost

    Raises
    ------
    RankError, OptionError

    Notes
    -----
    Claims: CST-4.
    """
    checks.rank("network_cost", rank, max((layer.R for layer in layers if layer.R is not None), default=0))
    at = [None if layer.R is None else min(rank, layer.R) for layer in layers]
    costs = [layer_cost(layer, r, dtype=dtype, cached=cached) for layer, r in zip(layers, at, strict=True)]
    return Cost(*map(sum, zip(*costs, strict=True)))


def dense(layers):
    """The same layers without factors.

    Parameters
    ----------
    layers : sequence of Layer

    Returns
    -------
    list of Layer
    """
    return [layer._replace(R=None) for layer in layers]


def dense_cost(layers, *, dtype="float32"):
    """Cost of a network of the same shapes with every layer dense.

    Parameters
    ----------
    layers : sequence of Layer
    dtype
        As in `layer_cost`.

    Returns
    -------
    Cost

    Raises
    ------
    OptionError
    """
    costs = [layer_cost(layer, dtype=dtype) for layer in dense(layers)]
    return Cost(*map(sum, zip(*costs, strict=True)))


def transformer_share(transformer, rank):
    """Share of a decoder's FLOPs per token that remain when both MLP projections of every block run at a rank.

    FLOPs are counted as the parameters that a token passes through: all but the input embedding, which is a lookup, and
    the biases of the factorised layers. Attention over earlier tokens is left out, as the paper leaves it out.

    Parameters
    ----------
    transformer : Transformer
    rank : int, in 1..min(hidden, intermediate)

    Returns
    -------
    float

    Raises
    ------
    RankError, OptionError

    Notes
    -----
    Source: arXiv:2509.17874v1, Fig. 7, whose "savings" are these shares: 68, 52, 45 and 37 % for Pythia-2.8B at ranks
    1024, 512, 256 and 1.

    Claims: CST-4, CST-6.
    """
    for name, value in transformer._asdict().items():
        checks.integer("transformer_share", name, value, 1)
    hidden, intermediate, blocks, vocabulary = transformer
    checks.rank("transformer_share", rank, min(hidden, intermediate))
    attention_and_norms = 4 * (hidden * hidden + hidden) + 4 * hidden
    mlp = 2 * hidden * intermediate + hidden + intermediate
    outside = blocks * attention_and_norms + 2 * hidden + vocabulary * hidden  # the last norm and the head
    return (outside + blocks * 2 * rank * (hidden + intermediate)) / (outside + blocks * mlp)


def _check_layer(function, layer):
    checks.integer(function, "d_in", layer.d_in, 1)
    checks.integer(function, "d_out", layer.d_out, 1)
    checks.integer(function, "positions", layer.positions, 1)
    if layer.R is not None:
        checks.integer(function, "R", layer.R, 1)
