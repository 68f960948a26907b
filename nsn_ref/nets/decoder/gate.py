"""The core of a gated MLP: one projection times another that is activated."""

from dataclasses import dataclass

# name of the activation: the stem of the gated operation, and the options that it is called with
GATES = {
    "gelu": ("geglu", {}),
    "gelu_tanh": ("geglu", {"approximate": "tanh"}),
    "silu": ("swiglu", {}),
}


@dataclass(frozen=True)
class Gate:
    """y = f(gate) up."""

    name: str

    @property
    def stems(self):
        """Of the operations that it calls."""
        return (GATES[self.name][0],)

    def forward(self, ys, ops):
        """Activate the first, multiply by the second."""
        stem, options = GATES[self.name]
        return getattr(ops, f"{stem}_forward")(*ys, **options)

    def backward(self, dy, saved, ops):
        """Cotangents of both."""
        stem, _ = GATES[self.name]
        return getattr(ops, f"{stem}_backward")(dy, saved)
