"""Reference implementation and verification suite for nested subspace networks."""
