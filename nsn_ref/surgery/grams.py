"""Gram matrices of the inputs of a decoder's linear layers, from calibration tokens, layer by layer."""

import numpy as np

from nsn_ref import ops as reference
from nsn_ref.errors import OptionError
from nsn_ref.nets.decoder import Decoder
from nsn_ref.nets.decoder.blocks import decoder_layers
from nsn_ref.nets.decoder.sequences import on_sequences

BATCH = 8  # sequences that run at once


class InputGrams:
    """Run calibration tokens through a decoder as its layers are asked for, and sum x x^T over their inputs x.

    Between two layers the activations of all tokens are kept, and the parameters of none: a layer's are read when
    it is reached.

    Parameters
    ----------
    config : DecoderConfig
        Nothing is nested.
    read : callable
        Gives a parameter by its name.
    tokens : ndarray of integers, shape (n, T)
        Sequences without padding.
    dtype : {float32, float64}
        Of the parameters.
    ops : module
        `nsn_ref.ops`, or `nsn_ref.kernels`.
    """

    def __init__(self, config, read, tokens, dtype, ops=reference):
        self.read, self.ops = read, ops
        Decoder(config).check_input("adapt", tokens)
        positions, like = np.arange(tokens.shape[1]), np.zeros(1, dtype)
        layers = decoder_layers(config, on_sequences(config, positions, None, like))
        self.layers = iter(layers[:-1] if config.tied else layers)  # a tied head is no linear layer of its own
        self.hidden = [tokens[i : i + BATCH] for i in range(0, len(tokens), BATCH)]
        self.found = {}  # by the name of an input

    def __getitem__(self, key):
        """The Gram matrix of a layer's inputs, (d_in, d_in) in float64; layers are asked for in the order of the pass.

        Raises
        ------
        OptionError
            The layer was passed already.
        """
        while input_name(key) not in self.found:
            layer = next(self.layers, None)
            if layer is None:
                raise OptionError(
                    f"InputGrams: {key} is not behind the layers that were asked for, expected that order"
                )
            self._run(layer)
        return self.found[input_name(key)]

    def _run(self, layer):
        params = {name: self.read(name) for name in layer.shapes()}
        recorder = Recorder(self.ops, {id(params[name]): name for name in params if name.endswith(".W")})
        self.hidden = [layer.forward(params, h, (), recorder)[0] for h in self.hidden]
        self.found = recorder.grams


class Recorder:
    """The operations of a module; linear layers add their inputs to a Gram matrix."""

    def __init__(self, ops, names):
        self.ops = ops
        self.names = names  # id of a weight matrix: its name
        self.grams = {}
        self.last = {}  # name of an input: the array that was added last

    def __getattr__(self, name):
        return getattr(self.ops, name)

    def dense_forward(self, x, W, b):
        """As in the module."""
        name = input_name(self.names[id(W)].removesuffix(".W"))
        if self.last.get(name) is not x:  # queries, keys and values read the same array: once is enough
            rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
            self.grams[name] = self.grams.get(name, 0) + rows.T @ rows
            self.last[name] = x
        return self.ops.dense_forward(x, W, b)


def input_name(key):
    """A name that layers with the same input share."""
    module, _, name = key.rpartition(".")
    return module if name in ("q", "k", "v", "gate", "up") else key
