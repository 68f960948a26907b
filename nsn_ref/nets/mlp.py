"""A multilayer perceptron in which any set of layers is nested."""

import functools
from dataclasses import dataclass

from nsn_ref import checks
from nsn_ref.errors import OptionError
from nsn_ref.nets.chain import Chain, check_nested
from nsn_ref.nets.layers import ACTIVATIONS, Activation, Dense, NestedLinear
from nsn_ref.plain import make_plain


@dataclass(frozen=True)
class MLP(Chain):
    """Linear layers with an activation between each two.

    Parameters
    ----------
    widths : tuple of int
        Width of the input, of each hidden layer, and number of classes: at least two numbers.
    R : int, >= 1
        Components stored by each nested layer, even where more than min(d_in, d_out).
    nested : tuple of bool, optional
        Which layers are nested, one for each. Default: all but the last, the dense head.
    activation : {"relu", "gelu", "gelu_tanh", "silu"}
    cap : bool
        Store no more than min(d_in, d_out) components in a layer; a larger rank then runs it at what it has.

    Raises
    ------
    OptionError

    Notes
    -----
    Parameters of linear layer i: ``layers.i.A`` (R, d_in), ``layers.i.B`` (d_out, R) and ``layers.i.b`` (d_out,) if it
    is nested, else ``layers.i.W`` (d_out, d_in) and ``layers.i.b``.

    Source: the MLP of arXiv:2509.17874v1, sec. 4.1.
    """

    widths: tuple
    R: int
    nested: tuple | None = None
    activation: str = "relu"
    cap: bool = False

    def __post_init__(self):
        make_plain(self)
        if not isinstance(self.widths, tuple) or len(self.widths) < 2:
            raise OptionError(f"MLP: widths is {self.widths!r}, expected a tuple of at least two integers")
        for i, width in enumerate(self.widths):
            checks.integer("MLP", f"widths[{i}]", width, 1)
        checks.integer("MLP", "R", self.R, 1)
        checks.choice("MLP", "activation", self.activation, tuple(ACTIVATIONS))
        checks.choice("MLP", "cap", self.cap, (False, True))
        count = len(self.widths) - 1
        if self.nested is None:
            object.__setattr__(self, "nested", (True,) * (count - 1) + (False,))
        check_nested("MLP", self.nested, count)

    @property
    def input_axes(self):
        """Axes of the input, in the form that `checks.arrays` reads."""
        return f"... {self.widths[0]}"

    def logits_shape(self, shape):
        """Shape of the logits for an input of the given shape."""
        return shape[:-1] + self.widths[-1:]

    @functools.cached_property
    def layers(self):
        """The chain: linear layers, and an activation after each but the last."""
        layers = []
        for i, (d_in, d_out, nested) in enumerate(zip(self.widths, self.widths[1:], self.nested, strict=False)):
            last = i == len(self.nested) - 1
            key, gain = f"layers.{i}", 1 if last else 2
            R = min(self.R, d_in, d_out) if self.cap else self.R
            layers.append(NestedLinear(key, d_in, d_out, R, gain) if nested else Dense(key, d_in, d_out, gain))
            if not last:
                layers.append(Activation(self.activation))
        return tuple(layers)
