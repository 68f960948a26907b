"""A small convolutional network in which any set of layers is nested."""

import functools
from dataclasses import dataclass

from nsn_ref import checks
from nsn_ref.errors import OptionError, ShapeError
from nsn_ref.nets.chain import Chain, check_nested
from nsn_ref.nets.conv_layers import AveragePool2d, Conv2d, GlobalAveragePool2d, NestedConv2d
from nsn_ref.nets.layers import ACTIVATIONS, Activation, Dense, NestedLinear
from nsn_ref.plain import make_plain


@dataclass(frozen=True)
class ConvNet(Chain):
    """Convolutions, each with an activation, a 2 x 2 average pool between each two, a global one, and a linear head.

    Parameters
    ----------
    channels : tuple of int
        Channels of the image, and of the output of each convolution: at least two numbers.
    classes : int, >= 1
    R : int, >= 1
        Components stored by each nested layer, even where more than a full-rank layer needs.
    kernel : int, odd
        Height and width of every kernel; images are padded with zeros so that they keep their size.
    nested : tuple of bool, optional
        Which layers are nested: one for each convolution, and one for the head. Default: all but the head.
    activation : {"relu", "gelu", "gelu_tanh", "silu"}
    cap : bool
        Store no more components in a layer than a full-rank one needs; a larger rank then runs it at what it has.

    Raises
    ------
    OptionError

    Notes
    -----
    Parameters of convolution i: ``layers.i.A`` (R, c_in, kernel, kernel), ``layers.i.B`` (c_out, R) and ``layers.i.b``
    (c_out,) if it is nested, else ``layers.i.W`` (c_out, c_in, kernel, kernel) and ``layers.i.b``; the head is the last
    layer, named as in `MLP`. Height and width of images are divisible by 2 for every convolution but one.
    """

    channels: tuple
    classes: int
    R: int
    kernel: int = 3
    nested: tuple | None = None
    activation: str = "relu"
    cap: bool = False

    def __post_init__(self):
        make_plain(self)
        if not isinstance(self.channels, tuple) or len(self.channels) < 2:
            raise OptionError(f"ConvNet: channels is {self.channels!r}, expected a tuple of at least two integers")
        for i, c in enumerate(self.channels):
            checks.integer("ConvNet", f"channels[{i}]", c, 1)
        for name in ("classes", "R", "kernel"):
            checks.integer("ConvNet", name, getattr(self, name), 1)
        if self.kernel % 2 == 0:
            raise OptionError(f"ConvNet: kernel is {self.kernel!r}, expected an odd integer")
        checks.choice("ConvNet", "activation", self.activation, tuple(ACTIVATIONS))
        checks.choice("ConvNet", "cap", self.cap, (False, True))
        count = len(self.channels)
        if self.nested is None:
            object.__setattr__(self, "nested", (True,) * (count - 1) + (False,))
        check_nested("ConvNet", self.nested, count)

    @property
    def input_axes(self):
        """Axes of the input, in the form that `checks.arrays` reads."""
        return f"n {self.channels[0]} H W"

    def logits_shape(self, shape):
        """Shape of the logits for an input of the given shape.

        Raises
        ------
        ShapeError
            The pools do not divide the image.
        """
        factor = 2 ** (len(self.channels) - 2)
        if any(size == 0 or size % factor for size in shape[2:]):
            raise ShapeError(f"ConvNet: x has shape {shape}, expected H and W divisible by {factor}, and not 0")
        return shape[:1] + (self.classes,)

    @functools.cached_property
    def layers(self):
        """The chain: convolution, activation and pool for each convolution, the last pool global; then the head."""
        layers = []
        for i, (c_in, c_out) in enumerate(zip(self.channels, self.channels[1:], strict=False)):
            layers += [AveragePool2d(2)] if i else []
            layers += [self._convolution(i, c_in, c_out), Activation(self.activation)]
        return (*layers, GlobalAveragePool2d(), self._head())

    def _convolution(self, i, c_in, c_out):
        key, gain = f"layers.{i}", 2
        if not self.nested[i]:
            return Conv2d(key, c_in, c_out, self.kernel, gain)
        return NestedConv2d(key, c_in, c_out, self.kernel, self._components(c_in * self.kernel**2, c_out), gain)

    def _head(self):
        d_in, d_out = self.channels[-1], self.classes
        key, gain = f"layers.{len(self.channels) - 1}", 1
        if not self.nested[-1]:
            return Dense(key, d_in, d_out, gain)
        return NestedLinear(key, d_in, d_out, self._components(d_in, d_out), gain)

    def _components(self, d_in, d_out):
        return min(self.R, d_in, d_out) if self.cap else self.R
