"""The decoder as a chain: embedding, residual blocks, norm, head."""

import functools
from dataclasses import dataclass

import numpy as np

from nsn_ref import checks
from nsn_ref import ops as reference
from nsn_ref.errors import LabelError, OptionError, RankError, ShapeError
from nsn_ref.nets.chain import Chain, run_forward, run_forward_ranks
from nsn_ref.nets.decoder.attention import Attention
from nsn_ref.nets.decoder.composites import Fan, Residual, Series
from nsn_ref.nets.decoder.config import DecoderConfig
from nsn_ref.nets.decoder.embedding import TABLE, Embedding, TiedHead
from nsn_ref.nets.decoder.gate import Gate
from nsn_ref.nets.decoder.norm import Norm
from nsn_ref.nets.decoder.sequences import Sequences
from nsn_ref.nets.layers import Activation, Dense, NestedLinear
from nsn_ref.ops.rotary import rotary_tables

IGNORED = -100  # a label that is not counted


@dataclass(frozen=True)
class Decoder(Chain):
    """A decoder-only transformer.

    Parameters
    ----------
    config : DecoderConfig

    Notes
    -----
    Parameters: ``embedding.E`` (V, hidden) and ``positions.E`` (context, hidden); of block i ``blocks.i.norm1``,
    ``blocks.i.attention.q``, ``.k``, ``.v``, ``.o``, ``blocks.i.norm2``, ``blocks.i.mlp.gate``, ``.up``, ``.down``;
    ``norm`` and ``head``. A norm has ``.w`` and ``.b``, a linear layer ``.W`` and ``.b``, a nested one ``.A``, ``.B``
    and ``.b``. What the configuration lacks has no parameter. ``s`` is there if a layer is nested.

    At an int rank every nested layer runs at that rank, or at its own R if that is smaller.
    """

    config: DecoderConfig

    def __post_init__(self):
        if isinstance(self.config, dict):  # as read from JSON
            object.__setattr__(self, "config", DecoderConfig(**self.config))
        if not isinstance(self.config, DecoderConfig):
            raise OptionError(f"Decoder: config is {self.config!r}, expected a DecoderConfig")

    @functools.cached_property
    def layers(self):
        """The chain, on no sequences in particular."""
        return build(self.config)

    @property
    def R(self):
        """The most components of a nested layer; 1 if none is nested."""
        return max((R for _, R in self.config.nested), default=1)

    def shapes(self):
        """Shape of every parameter by its name, in the order of the layers; ``s`` last, if a layer is nested."""
        shapes = super().shapes()
        return shapes if self.nested_layers else {name: shape for name, shape in shapes.items() if name != "s"}

    def logits_shape(self, shape):
        """Shape of the logits for tokens of the given shape."""
        return (*shape, self.config.vocabulary)

    def layer_ranks(self, rank, function="layer_ranks"):
        """As of every chain; a dict has the rank of each nested layer by its key.

        Raises
        ------
        RankError
        """
        if not isinstance(rank, dict):
            return super().layer_ranks(rank, function)
        keys = [layer.key for layer in self.nested_layers]
        if rank.keys() != set(keys):
            raise RankError(f"{function}: rank has {', '.join(rank)}, expected one rank for each of {', '.join(keys)}")
        return super().layer_ranks(tuple(rank[key] for key in keys), function)

    def check(self, function, params, x=None):
        """Check the parameters as of every chain, and tokens.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError, LabelError
        """
        super().check(function, params)
        if x is not None:
            self.check_input(function, x)

    def check_input(self, function, x):
        """Check tokens (n, T): integers of the vocabulary, at most the context.

        Raises
        ------
        ShapeError, DTypeError, LabelError
        """
        checks.labels(function, "tokens", x, None, self.config.vocabulary)
        if x.ndim != 2 or not 1 <= x.shape[1] <= self.config.context:
            expected = f"(n, T) with T in 1..{self.config.context}, the context"
            raise ShapeError(f"{function}: tokens has shape {x.shape}, expected {expected}")

    def check_targets(self, function, targets, loss, shape):
        """Check labels, of which every sequence has one that counts.

        Raises
        ------
        ShapeError, DTypeError, LabelError, OptionError
        """
        shifted, _ = self.loss_arguments(function, targets, loss)
        checks.labels(function, "targets", targets, shape[:-1], shape[-1], IGNORED)
        without = np.flatnonzero((shifted == IGNORED).all(axis=1))
        if without.size:
            raise LabelError(f"{function}: targets[{without[0]}] has no label but {IGNORED} from its second on")

    def loss_arguments(self, function, targets, loss):
        """Each label a place earlier, where the logits predict it, and -100, which is not counted, in the last place.

        Raises
        ------
        ShapeError, DTypeError, OptionError
        """
        checks.choice(function, "loss", loss, ("cross_entropy",))
        checks.integers(function, "targets", targets)
        checks.axes(function, targets=(targets, "n T"))
        shifted = np.full(targets.shape, IGNORED)
        shifted[:, :-1] = targets[:, 1:]
        return shifted, {"ignore_index": IGNORED}

    def forward(self, params, tokens, rank, ops=reference, mask=None, positions=None):
        """Logits at one rank.

        Parameters
        ----------
        params : dict of str to ndarray
        tokens : ndarray of integers, shape (n, T)
        rank : int, tuple or dict
            Of all nested layers, of each in order, or of each by key.
        ops : module
            `nsn_ref.ops`, or `nsn_ref.kernels` for float32 and float64.
        mask : ndarray of bool, shape (n, T), optional
            True where a token may be seen: False for padding. Padding also gets logits, without a meaning.
        positions : ndarray of integers, shape (T,) or (n, T), optional
            Place of each token, in 0..context-1. Default: 0..T-1.

        Returns
        -------
        logits : ndarray, shape (n, T, vocabulary)
        saved : ChainSaved

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError, RankError, LabelError
        """
        self.check("Decoder.forward", params, tokens)
        layers = build(self.config, self._sequences("Decoder.forward", params, tokens, mask, positions))
        return run_forward(layers, params, tokens, self.layer_ranks(rank, "Decoder.forward"), ops)

    def forward_ranks(self, params, tokens, ranks, ops=reference, mask=None, positions=None):
        """Logits at K ranks. Up to the first nested layer the ranks share one pass.

        Parameters
        ----------
        params, tokens, ops, mask, positions
            As in `forward`.
        ranks : sequence of K ranks
            Each an int, a tuple or a dict, in any order, duplicates allowed.

        Returns
        -------
        logits : ndarray, shape (K, n, T, vocabulary)
        saved : RanksSaved

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError, RankError, LabelError
        """
        function = "Decoder.forward_ranks"
        self.check(function, params, tokens)
        layers = build(self.config, self._sequences(function, params, tokens, mask, positions))
        return run_forward_ranks(layers, params, tokens, self.ranks_of_layers(ranks, function), ops)

    def _sequences(self, function, params, tokens, mask, positions):
        if mask is not None:
            checks.booleans(function, "mask", mask, tokens.shape)
        if positions is None:
            positions = np.arange(tokens.shape[1])
        checks.labels(function, "positions", positions, None, self.config.context)
        if positions.shape not in (tokens.shape, tokens.shape[1:]):
            expected = f"{tokens.shape[1:]} or {tokens.shape}"
            raise ShapeError(f"{function}: positions has shape {positions.shape}, expected {expected}")
        return on_sequences(self.config, positions, mask, params[TABLE])


def on_sequences(config, positions, mask, like, cache=None):
    """What layers know of sequences at the given positions; tables of rotations have the number type of `like`."""
    cos = sin = None
    if config.rotary:
        cos, sin = rotary_tables(positions, config.rotary // 2, config.rotary_base, like)
    return Sequences(positions, mask, cos, sin, cache)


def build(config, sequences=None):
    """The layers of a decoder.

    Parameters
    ----------
    config : DecoderConfig
    sequences : Sequences, optional
        What they will run on; without it they cannot run.

    Returns
    -------
    tuple of Layer
    """
    c = config
    positions = c.context if c.learned_positions else 0
    blocks = [layer for i in range(c.blocks) for layer in _block(c, i, sequences)]
    head = TiedHead("head", c.vocabulary, c.head_bias) if c.tied else _linear(c, "head", 1)
    return (
        Embedding(c.vocabulary, c.hidden, c.embedding_scale, positions, sequences), *blocks, _norm(c, "norm"), head
    )  # fmt: skip


def _block(config, i, sequences):
    """Attention and MLP, each behind its norm and added to what it reads; in parallel they read the same."""
    key = f"blocks.{i}"
    attention = Series((_norm(config, f"{key}.norm1"), *_attention(config, i, sequences)))
    mlp = Series((_norm(config, f"{key}.norm2"), *_mlp(config, f"{key}.mlp")))
    return (Residual((attention, mlp)),) if config.parallel else (Residual((attention,)), Residual((mlp,)))


def _attention(config, i, sequences):
    key = f"blocks.{i}.attention"
    core = Attention(i, config.head_dim, config.rotary > 0, config.attention_scale, config.windows[i], sequences)
    inputs = tuple(_linear(config, f"{key}.{name}", 1) for name in "qkv")
    return Fan(inputs, core), _linear(config, f"{key}.o", _share(config))


def _mlp(config, key):
    down = _linear(config, f"{key}.down", _share(config))
    if config.gated:
        inputs = _linear(config, f"{key}.gate", 2), _linear(config, f"{key}.up", 1)
        return Fan(inputs, Gate(config.activation)), down
    return _linear(config, f"{key}.up", 2), Activation(config.activation), down


def _share(config):
    """Gain of what is added to the residual stream: twice for each block, together 1."""
    return 1 / (2 * config.blocks)


def _norm(config, key):
    return Norm(key, config.norm, config.hidden, config.norm_offset, config.eps)


def _linear(config, key, gain):
    """A linear layer, nested if the configuration says so."""
    d_in, d_out, bias = config.linear_layers[key]
    R = dict(config.nested).get(key)
    if R is None:
        return Dense(key, d_in, d_out, gain, bias)
    return NestedLinear(key, d_in, d_out, R, gain, bias)
