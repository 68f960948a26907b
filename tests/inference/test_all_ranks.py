"""All ranks in one call against the reference at each rank: correctly rounded truth and derived bounds."""

import tracemalloc

import numpy as np
import pytest
import threadpoolctl
from helpers import random_params

from nsn_ref import MLP, ConvNet, ops
from nsn_ref.certify import balls, rounding
from nsn_ref.errors import DTypeError, LabelError, NonFiniteError, RankError, ShapeError
from nsn_ref.inference import logits_at_ranks, pieces, scores_at_ranks

NETS = {
    "mlp": (MLP((3, 5, 7, 2), R=11), (13, 3)),
    "layer": (MLP((3, 5), R=7, nested=(True,)), (11, 3)),
    "head": (MLP((3, 5, 2), R=7, nested=(False, True), activation="gelu"), (2, 3, 3)),
    "capped": (MLP((3, 5, 2), R=7, nested=(True, True), cap=True), (5, 3)),
    "convnet": (ConvNet((2, 3, 5), 3, R=7), (3, 2, 2, 4)),
    "dense": (MLP((3, 5, 2), R=3, nested=(False, False)), (5, 3)),
    "later": (ConvNet((1, 2, 3), 5, R=3, nested=(False, True, True)), (2, 1, 4, 2)),
}


def drawn(rng, name, dtype):
    net, shape = NETS[name]
    params = {key: value.astype(dtype) for key, value in random_params(rng, net).items()}
    x = rng.standard_normal(shape).astype(dtype)
    return net, params, x, rng.integers(0, net.logits_shape(shape)[-1], net.logits_shape(shape)[:-1])


def truth_and_bound(net, params, x, labels, rank):
    """Logits and loss of the reference at one rank, correctly rounded, and the bounds of their rounding errors."""

    def both(x, *values):
        z, _ = net.forward(dict(zip(params, values, strict=True)), x, rank)
        return {"logits": z, "loss": ops.softmax_cross_entropy_forward(z, labels)[0]}

    truth = balls.certified(both, x, *params.values())
    with rounding.precision(x.dtype.name):
        bounds = {
            key: rounding.errors(value) for key, value in both(*map(rounding.rounded, (x, *params.values()))).items()
        }
    return truth, {key: bound + 2.0**-53 * np.abs(truth[key]) for key, bound in bounds.items()}


@pytest.fixture
def small_pieces(monkeypatch):
    """A few rows and ranks at a time, so that small networks are cut up too."""
    monkeypatch.setattr(pieces, "ROW_NUMBERS", 120)
    monkeypatch.setattr(pieces, "NUMBERS", 240)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_rank_is_that_of_the_reference(small_pieces, rng, name, dtype):
    net, params, x, labels = drawn(rng, name, dtype)
    logits, scores = logits_at_ranks(net, params, x), scores_at_ranks(net, params, x, labels)
    assert logits.dtype == dtype and logits.shape == (net.R, *net.logits_shape(x.shape))
    assert scores.ranks == tuple(range(1, net.R + 1))
    for rank in sorted({1, 2, (net.R + 1) // 2, net.R}):
        truth, bound = truth_and_bound(net, params, x, labels, rank)
        assert (np.abs(logits[rank - 1] - truth["logits"]) <= bound["logits"]).all()
        assert np.abs(scores.losses[rank - 1] - truth["loss"]) <= bound["loss"]
        assert scores.accuracies[rank - 1] == np.mean(truth["logits"].argmax(axis=-1) == labels)


@pytest.mark.parametrize("name", NETS)
def test_bits_do_not_depend_on_the_number_of_threads(small_pieces, rng, name):
    net, params, x, labels = drawn(rng, name, np.float32)
    found = []
    for threads in (1, 2, 3):
        with threadpoolctl.threadpool_limits(threads):
            found.append((logits_at_ranks(net, params, x), scores_at_ranks(net, params, x, labels)))
    for logits, scores in found[1:]:
        assert (logits == found[0][0]).all()
        assert (scores.losses == found[0][1].losses).all() and (scores.accuracies == found[0][1].accuracies).all()


@pytest.mark.parametrize("name", NETS)
def test_ranks_in_any_order_and_pieces_of_any_size(rng, monkeypatch, name):
    net, params, x, labels = drawn(rng, name, np.float64)
    logits, scores = logits_at_ranks(net, params, x), scores_at_ranks(net, params, x, labels)
    ranks = [net.R, 1, 2, net.R, 2]
    at = np.array(ranks) - 1
    for row_numbers, numbers in ((1, 1), (40, 400), (1 << 17, 1 << 16)):
        monkeypatch.setattr(pieces, "ROW_NUMBERS", row_numbers)
        monkeypatch.setattr(pieces, "NUMBERS", numbers)
        np.testing.assert_allclose(logits_at_ranks(net, params, x, ranks), logits[at], rtol=1e-12, atol=1e-12)
        found = scores_at_ranks(net, params, x, labels, ranks)
        assert found.ranks == tuple(ranks) and (found.accuracies == scores.accuracies[at]).all()
        np.testing.assert_allclose(found.losses, scores.losses[at], rtol=1e-12)


def test_a_component_left_out_is_seen(small_pieces, rng, monkeypatch):
    """The bounds are tight enough to refuse a rank that is served one component too few."""
    net, params, x, labels = drawn(rng, "mlp", np.float32)
    outputs = pieces._Continued.outputs
    monkeypatch.setattr(pieces._Continued, "outputs", lambda self, ranks: outputs(self, np.maximum(ranks - 1, 1)))
    truth, bound = truth_and_bound(net, params, x, labels, 5)
    assert (np.abs(logits_at_ranks(net, params, x, [5])[0] - truth["logits"]) > bound["logits"]).any()
    assert np.abs(scores_at_ranks(net, params, x, labels, [5]).losses[0] - truth["loss"]) > bound["loss"]


def test_the_first_of_equal_logits_counts():
    net = MLP((1, 3), R=2, nested=(True,))
    params = {key: np.zeros(shape) for key, shape in net.shapes().items()}
    scores = scores_at_ranks(net, params, np.ones((4, 1)), np.array([0, 1, 2, 0]))
    assert scores.accuracies.tolist() == [0.5, 0.5]
    assert scores.losses == pytest.approx(np.log(3), rel=1e-15)


def test_memory_does_not_grow_with_rows_and_ranks(rng):
    net = MLP((3, 64, 5), R=512)
    params = net.init(rng)
    x, labels = rng.standard_normal((2000, 3)).astype(np.float32), rng.integers(0, 5, 2000)
    scores_at_ranks(net, params, x[:5], labels[:5])
    tracemalloc.start()
    scores_at_ranks(net, params, x, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8e6 < 2000 * 512 * 4 * 5  # the logits alone, before the 13 times larger activations


def test_out_read_only_input_and_an_empty_batch(rng):
    net, params, x, labels = drawn(rng, "mlp", np.float64)
    logits = logits_at_ranks(net, params, x)
    out = np.full(logits.shape, 1e9)
    for array in (x, *params.values()):
        array.flags.writeable = False
    strided = np.repeat(x, 2, axis=-1)[:, ::2]
    transposed = {key: np.asfortranarray(value) for key, value in params.items()}
    assert logits_at_ranks(net, transposed, strided, out=out) is out
    np.testing.assert_allclose(out, logits, rtol=1e-12)
    assert logits_at_ranks(net, params, x[:0]).shape == (11, 0, 2)
    with pytest.raises(ShapeError, match="scores_at_ranks: x has shape"):
        scores_at_ranks(net, params, x[:0], labels[:0])


def test_what_is_refused(rng):
    net, params, x, labels = drawn(rng, "mlp", np.float64)
    for ranks in ([], [0], [12], [1.0], 3):
        with pytest.raises(RankError, match=r"logits_at_ranks: ranks"):
            logits_at_ranks(net, params, x, ranks)
    with pytest.raises(LabelError, match=r"scores_at_ranks: labels has the label 2"):
        scores_at_ranks(net, params, x, labels + 2)
    with pytest.raises(ShapeError, match=r"scores_at_ranks: labels has shape"):
        scores_at_ranks(net, params, x, labels[1:])
    with pytest.raises(NonFiniteError, match=r"logits_at_ranks: x has NaN"):
        logits_at_ranks(net, params, x * np.nan)
    with pytest.raises(NonFiniteError, match=r"scores_at_ranks: losses has NaN"), np.errstate(all="ignore"):
        scores_at_ranks(net, params | {"layers.2.W": np.full((2, 7), 1e308)}, x, labels)
    with pytest.raises(DTypeError, match=r"expected float32 or float64"):
        logits_at_ranks(net, {key: value + 0j for key, value in params.items()}, x + 0j)
