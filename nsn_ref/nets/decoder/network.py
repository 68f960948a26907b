"""The decoder: what is particular to it beside being a chain, which is tokens, labels and several ranks by key."""

import dataclasses
import functools
from dataclasses import dataclass

import numpy as np

from nsn_ref import checks
from nsn_ref import ops as reference
from nsn_ref.errors import LabelError, OptionError, RankError, ShapeError
from nsn_ref.nets.chain import Chain, run_forward, run_forward_ranks
from nsn_ref.nets.decoder.blocks import decoder_layers
from nsn_ref.nets.decoder.config import DecoderConfig
from nsn_ref.nets.decoder.embedding import TABLE
from nsn_ref.nets.decoder.sequences import on_sequences

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
        return decoder_layers(self.config)

    @property
    def R(self):
        """The most components of a nested layer; 1 if none is nested."""
        return max((R for _, R in self.config.nested), default=1)

    def shapes(self):
        """Shape of every parameter by its name, in the order of the layers; ``s`` last, if a layer is nested."""
        shapes = super().shapes()
        return shapes if self.nested_layers else {name: shape for name, shape in shapes.items() if name != "s"}

    def with_dense(self, keys):
        """The same network with the nested layers of these keys dense."""
        nested = tuple((key, R) for key, R in self.config.nested if key not in keys)
        return Decoder(dataclasses.replace(self.config, nested=nested))

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
        layers = self._layers_on("Decoder.forward", params, tokens, mask, positions)
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
        layers = self._layers_on(function, params, tokens, mask, positions)
        return run_forward_ranks(layers, params, tokens, self.ranks_of_layers(ranks, function), ops)

    def _layers_on(self, function, params, tokens, mask, positions):
        """The layers, for these sequences."""
        if mask is not None:
            checks.booleans(function, "mask", mask, tokens.shape)
        if positions is None:
            positions = np.arange(tokens.shape[1])
        checks.integers(function, "positions", positions)
        if ((positions < 0) | (positions >= self.config.context)).any():
            expected = f"integers in 0..{self.config.context - 1}, below the context"
            raise OptionError(
                f"{function}: positions reach from {positions.min()} to {positions.max()}, expected {expected}"
            )
        if positions.shape not in (tokens.shape, tokens.shape[1:]):
            expected = f"{tokens.shape[1:]} or {tokens.shape}"
            raise ShapeError(f"{function}: positions has shape {positions.shape}, expected {expected}")
        return decoder_layers(self.config, on_sequences(self.config, positions, mask, params[TABLE]))
