"""Gram matrices of the inputs of a decoder's linear layers, from calibration tokens, block by block.

In memory are the parameters of one block and what a few tokens make of them. The activations of all tokens between two
blocks, and the Gram matrices of one block, lie in files.
"""

import numpy as np

from nsn_ref import ops as reference
from nsn_ref.errors import DataError, OptionError
from nsn_ref.nets.decoder import Decoder
from nsn_ref.nets.decoder.blocks import decoder_layers
from nsn_ref.nets.decoder.composites import Residual
from nsn_ref.nets.decoder.sequences import on_sequences
from nsn_ref.nets.layers import Dense
from nsn_ref.surgery.spill import Spilled

TOKENS = 1024  # that run at once; through attention at least one sequence
SCORES = 2**21  # inner products of queries and keys at once; at least those of one query of each head
STRIPE = 2**20  # elements of a Gram matrix in memory at once


class InputGrams:
    """Run calibration tokens through a decoder as its layers are asked for, and sum x x^T over their inputs x.

    Parameters
    ----------
    config : DecoderConfig
        Nothing is nested.
    keys : iterable of str
        The linear layers that will be asked for.
    read : callable
        Gives a parameter by its name.
    tokens : ndarray of integers, shape (n, T)
        Sequences without padding.
    dtype : {float32, float64}
        Of the parameters.
    folder : Path
        For files, on a disk; whoever made it removes it.
    ops : module
        `nsn_ref.ops`, or `nsn_ref.kernels`.
    """

    def __init__(self, config, keys, read, tokens, dtype, folder, ops=reference):
        Decoder(config).check_input("adapt", tokens)
        self.read, self.length, self.dtype = read, tokens.shape[1], dtype
        self.recorder = Recorder(ops, folder, {input_name(key) for key in keys})
        positions, like = np.arange(self.length), np.zeros(1, dtype)
        embedding, *layers = decoder_layers(config, on_sequences(config, positions, None, like))
        self.layers = iter(layers[:-1] if config.tied else layers)  # a tied head is no linear layer of its own
        self.hidden = Spilled(folder / "hidden", (*tokens.shape, config.hidden), dtype)
        self._run(embedding, lambda start, stop: tokens[start:stop])

    def __getitem__(self, key):
        """The Gram matrix of a layer's inputs, (d_in, d_in), divided by its trace; asked for in the order of the pass.

        It is summed in float64 and rounded to the dtype of the parameters, which decides what is noise in it.

        Raises
        ------
        OptionError
            The layer was passed already.
        DataError
            The inputs are all zero.
        """
        while input_name(key) not in self.recorder.grams:
            layer = next(self.layers, None)
            if layer is None:
                raise OptionError(
                    f"InputGrams: {key} is not behind the layers that were asked for, expected that order"
                )
            self._run(layer, self.hidden.read)
        found = self.recorder.grams[input_name(key)]
        trace = np.concatenate([rows.diagonal(start) for start, rows in found.blocks(STRIPE)]).sum()
        if not trace > 0:
            raise DataError(f"adapt: the inputs of {key} have squares that sum to {trace}, expected more than 0")
        gram = np.empty(found.shape, self.dtype)
        for start, rows in found.blocks(STRIPE):
            gram[start : start + len(rows)] = rows / trace
        return gram

    def _run(self, layer, inputs):
        """Put what a layer makes of its inputs behind it, a few sequences at a time."""
        params = {name: self.read(name) for name in layer.shapes()}
        self.recorder.start(params)
        step = max(1, TOKENS // self.length)
        for start in range(0, self.hidden.shape[0], step):
            self.hidden.write(start, self._forward(layer, params, inputs(start, start + step)))
        self.recorder.last = {}  # lets go of what was read last

    def _forward(self, layer, params, x):
        if isinstance(layer, Dense):  # the head: nobody reads its output, which may be large
            self.recorder.add(layer.key, x)
            return x
        if isinstance(layer, Residual):
            return sum((self._part(part, params, x) for part in layer.parts), start=x)
        return layer.forward(params, x, (), self.recorder)[0]

    def _part(self, part, params, x):
        """What a part of a block adds. Where no token sees another one, sequences run piece by piece."""
        step = self.length if "causal_attention" in part.stems else TOKENS
        pieces = (x[:, i : i + step] for i in range(0, self.length, step))
        return np.concatenate([part.forward(params, piece, (), self.recorder)[0] for piece in pieces], axis=1)


class Recorder:
    """The operations of a module, without what backward passes need; linear layers add their inputs to Gram matrices.

    Parameters
    ----------
    ops : module
    folder : Path
        For the Gram matrices.
    wanted : set of str
        Names of inputs (`input_name`); others are not recorded.
    """

    def __init__(self, ops, folder, wanted):
        self.ops, self.folder, self.wanted = ops, folder, wanted
        self.grams = {}

    def start(self, params):
        """Begin with a layer: matrices of the one before are removed."""
        for gram in self.grams.values():
            gram.remove()
        self.names = {id(value): input_name(name[:-2]) for name, value in params.items() if name.endswith(".W")}
        self.grams = {}
        self.last = {}  # name of an input: the array that was added last

    def __getattr__(self, name):
        forward = getattr(self.ops, name)
        return lambda *args, **options: (forward(*args, **options)[0], None)

    def dense_forward(self, x, W, b):
        """As in the module."""
        name = self.names[id(W)]
        if self.last.get(name) is not x:  # queries, keys and values read the same array: once is enough
            self.add(name, x)
            self.last[name] = x
        return self.ops.dense_forward(x, W, b)[0], None

    def causal_attention_forward(self, q, k, v, **options):
        """As in the module, for a few queries at a time."""
        heads, length = q.shape[2], q.shape[1]
        step = max(1, SCORES // (len(q) * heads * length))
        attend = self.ops.causal_attention_forward
        spans = (slice(i, min(i + step, length)) for i in range(0, length, step))
        y = [attend(q[:, at], k[:, : at.stop], v[:, : at.stop], **options)[0] for at in spans]  # the last of these keys
        return np.concatenate(y, axis=1), None

    def add(self, name, x):
        """Add the sum of x x^T, a stripe of it at a time."""
        if name not in self.wanted:
            return
        rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
        width = rows.shape[1]
        gram = self.grams.get(name)
        if gram is None:
            gram = self.grams[name] = Spilled(self.folder / name, (width, width), np.float64)
        for start, stripe in gram.blocks(STRIPE):
            gram.write(start, stripe + rows[:, start : start + len(stripe)].T @ rows)


def input_name(key):
    """A name that layers with the same input share."""
    module, _, name = key.rpartition(".")
    return module if name in ("q", "k", "v", "gate", "up") else key
