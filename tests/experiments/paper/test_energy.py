"""Orders by hand, and that a dense layer gives its singular values."""

import numpy as np
import pytest

from nsn_ref.experiments.paper.energy import factors, order, run
from nsn_ref.nets.layers import NestedLinear


def test_orders_by_hand():
    """Norms of a: 4 1 2 1; of b: 1 2 3 1; energies 4 2 6 1; bands (1), (2), (3, 4): 4, 2, 3.5."""
    A, B = np.diag([4.0, 1.0, 2.0, 1.0]), np.diag([1.0, 2.0, 3.0, 1.0])
    shares = {"norm of a": 2 / 3, "norm of b": 1 / 3, "energy": 2 / 3, "energy, bands": 1 / 2}
    assert order(A, B, (1, 2, 4)) == pytest.approx(shares)


def test_a_dense_layer_gives_its_singular_values(rng):
    W = rng.standard_normal((5, 7))
    A, B = factors({"layers.0.W": W}, NestedLinear("layers.0", 7, 5, 3, 1))
    found = np.linalg.norm(A, axis=1) * np.linalg.norm(B, axis=0)
    assert found == pytest.approx(np.linalg.svd(W, compute_uv=False)[:3])


def test_the_last_point_is_the_end(digits, options, runs):
    found = run(digits, options(model="nested"), 0)
    (trained,) = runs
    assert found["steps"][-1] == trained.steps and len(found["order"]["energy"]) == len(found["steps"])
    for key, energies in found["energies"].items():
        A, B = trained.params[f"{key}.A"], trained.params[f"{key}.B"]
        assert energies == pytest.approx(np.linalg.norm(A, axis=1) * np.linalg.norm(B, axis=0), rel=1e-5)


def test_the_svd_of_a_dense_network_is_in_order(digits, options):
    found = run(digits, options(model="dense, its SVD"), 0)
    assert {share for shares in found["order"].values() for share in shares} == {1.0}
