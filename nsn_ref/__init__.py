"""Reference implementation and verification suite for nested subspace networks."""

__version__ = "0.1.0"
