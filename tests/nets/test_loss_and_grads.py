"""Losses at several ranks: against separate passes exactly, and against the complex step."""

from fractions import Fraction

import numpy as np
import pytest
from helpers import assert_gradient, assert_number_type, random_fractions, random_params

from nsn_ref import kernels, ops
from nsn_ref.certify.balls import to_balls, working_precision
from nsn_ref.errors import LabelError, OptionError
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.nets.mlp import MLP
from nsn_ref.nets.regularisers import REGULARISERS
from nsn_ref.training.weighting import Objective

NET = MLP((3, 5, 7, 2), R=11)
RANKS = [9, 1, (4, 6), 8]  # the anchor lies below R; the tuple is filed under 6
LABELS = np.array([1, 0, 1, 1])


def as_function(net, targets, ranks, **options):
    """The total as a function of x and every parameter, in the form that `assert_gradient` takes."""
    names = list(net.shapes())

    def forward(x, *values):
        out = loss_and_grads(net, dict(zip(names, values, strict=True)), x, targets, ranks, **options)
        return out.total, out

    def backward(dtotal, out):
        return out.dx * dtotal, *(out.grads[name] * dtotal for name in names)

    return names, forward, backward


@pytest.mark.parametrize("objective", ["uncertainty", "classification", "bounded", "sum"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_every_gradient_agrees_with_the_complex_step(rng, objective, activation):
    net = MLP((3, 5, 7, 2), R=11, activation=activation)
    names, forward, backward = as_function(net, LABELS, RANKS, objective=objective)
    params = random_params(rng, net)
    assert_gradient(forward, backward, [rng.standard_normal((4, 3)), *(params[name] for name in names)], rng)


@pytest.mark.parametrize("regulariser", [(name,) for name in REGULARISERS] + [REGULARISERS])
def test_regularisers_agree_with_the_complex_step(rng, regulariser):
    coefficients = {name: 0.25 + i for i, name in enumerate(regulariser)}
    names, forward, backward = as_function(NET, LABELS, RANKS, regularisers=coefficients)
    params = random_params(rng, NET)
    assert_gradient(forward, backward, [rng.standard_normal((4, 3)), *(params[name] for name in names)], rng)


def test_regularisers_are_what_table_1_says(rng):
    """Each written out: anchor 9 against the variants 1, (4, 6) and 8."""
    params, x = random_params(rng, NET), rng.standard_normal((4, 3))
    found = loss_and_grads(NET, params, x, LABELS, RANKS, regularisers=dict.fromkeys(REGULARISERS, 0.5))

    def outputs(rank):
        r_0, r_1 = rank if isinstance(rank, tuple) else (rank, rank)
        A, B, b = (params[f"layers.0.{name}"] for name in "ABb")
        h = np.maximum(x @ (B[:, :r_0] @ A[:r_0]).T + b, 0)
        A, B, b = (params[f"layers.1.{name}"] for name in "ABb")
        h_1 = np.maximum(h @ (B[:, :r_1] @ A[:r_1]).T + b, 0)
        return h, h_1, h_1 @ params["layers.2.W"].T + params["layers.2.b"]

    A_0, A_1 = (params[f"layers.{i}.A"] for i in (0, 1))
    anchor, variants = outputs(9), [outputs(rank) for rank in RANKS[1:]]
    expected = {
        "hard_orthogonality": sum(np.sum((A[:9] @ A[:9].T - np.eye(9)) ** 2) for A in (A_0, A_1)),
        "residual_orthogonality": sum(
            np.sum((A_0[:r] @ A_0[r:9].T) ** 2) + np.sum((A_1[:q] @ A_1[q:9].T) ** 2)
            for r, q in ((1, 1), (4, 6), (8, 8))
        ),
        "logits": sum(np.sum((anchor[2] - z[2]) ** 2) for z in variants) / 4,
        "hidden": sum(np.sum((anchor[i] - z[i]) ** 2) for z in variants for i in (0, 1)) / 4,
    }
    for name, value in expected.items():
        assert found.penalties[name] == pytest.approx(0.5 * value, rel=1e-12)
    plain = loss_and_grads(NET, params, x, LABELS, RANKS)
    assert found.total == pytest.approx(plain.total + 0.5 * sum(expected.values()), rel=1e-12)


def test_stop_anchor_pulls_only_the_variant(rng):
    """Rows of A that the variant does not use get the gradient of the anchor's own loss alone."""
    params, x = random_params(rng, NET), rng.standard_normal((4, 3))
    options = {"objective": "sum", "regularisers": {"logits": 2.0, "hidden": 3.0}}
    full, stopped = (loss_and_grads(NET, params, x, LABELS, [9, 4], **options, stop_anchor=s) for s in (False, True))
    assert full.total == stopped.total
    above = [out.grads["layers.0.A"][4:9] for out in (full, stopped)]
    alone = loss_and_grads(NET, params, x, LABELS, [9], objective="sum").grads["layers.0.A"][4:9]
    assert np.allclose(above[1], alone, rtol=1e-12) and not np.allclose(above[0], alone, rtol=1e-3)


def test_it_is_the_weighted_sum_of_separate_passes_exactly(rng):
    weights = tuple(Fraction(k + 1, k + 3) for k in range(11))
    params = {name: random_fractions(rng, *shape) for name, shape in NET.shapes().items()}
    x, targets = random_fractions(rng, 4, 3), random_fractions(rng, 4, 2)
    options = {"loss": "mean_squared_error", "objective": Objective("fixed", weights)}
    out = loss_and_grads(NET, params, x, targets, RANKS, **options)
    total, grads, dx = 0, {}, 0
    for k, (rank, slot) in enumerate(zip(RANKS, (9, 1, 6, 8), strict=True)):
        z, saved = NET.forward(params, x, rank)
        loss, context = ops.mean_squared_error_forward(z, targets)
        own, dx_k = NET.backward(ops.mean_squared_error_backward(weights[slot - 1], context), saved)
        grads = {name: grads.get(name, 0) + g for name, g in own.items()}
        total, dx = total + weights[slot - 1] * loss, dx + dx_k
        assert out.losses[k] == loss and (out.logits[k] == z).all()
    assert out.total == total and (out.dx == dx).all()
    assert all((out.grads[name] == g).all() for name, g in grads.items())
    assert (out.grads["s"] == 0).all()
    assert_number_type(Fraction, out.total, out.losses, out.logits, out.dx, *out.grads.values())


@pytest.mark.parametrize("objective", ["analytic", "softmax", "gradnorm"])
def test_weights_from_the_losses_are_constants(rng, objective):
    """The gradients are those of a fixed sum with the weights that the losses gave."""
    params, x = random_params(rng, NET), rng.standard_normal((4, 3))
    out = loss_and_grads(NET, params, x, LABELS, [9, 4, 1], objective=objective)
    if objective == "analytic":
        weights = 1 / out.losses
    elif objective == "softmax":
        weights = np.exp(1 / out.losses) / np.exp(1 / out.losses).sum()
    else:
        weights = out.state["weights"][[8, 3, 0]]
    by_rank = np.zeros(11)
    by_rank[[8, 3, 0]] = weights
    fixed = loss_and_grads(NET, params, x, LABELS, [9, 4, 1], objective=Objective("fixed", tuple(by_rank.tolist())))
    assert out.total == pytest.approx((weights * out.losses).sum(), rel=1e-14)
    for name in fixed.grads:
        assert out.grads[name] == pytest.approx(fixed.grads[name], rel=1e-12, abs=1e-14)


def test_gradnorm_moves_weights_towards_equal_pull(rng):
    """At the first step every training rate is 1: a norm above the mean loses weight, one below gains."""
    params, x = random_params(rng, NET), rng.standard_normal((4, 3))
    ranks = [9, 4, 1]
    out = loss_and_grads(NET, params, x, LABELS, ranks, objective=Objective("gradnorm", lr=1e-3))
    norms = []
    for rank in ranks:
        z, saved = NET.forward(params, x, rank)
        loss, context = ops.softmax_cross_entropy_forward(z, LABELS)
        grads, _ = NET.backward(ops.softmax_cross_entropy_backward(1.0, context), saved)
        norms.append(np.sqrt((grads["layers.2.W"] ** 2).sum() + (grads["layers.2.b"] ** 2).sum()))
        assert out.state["first_losses"][rank - 1] == pytest.approx(loss, rel=1e-13)
    norms = np.array(norms)
    moved = np.ones(11)
    moved[[8, 3, 0]] -= 1e-3 * np.sign(norms - norms.mean()) * norms
    assert out.state["weights"] == pytest.approx(moved * 11 / moved.sum(), rel=1e-12)
    again = loss_and_grads(NET, params, x, LABELS, [9, 5], objective="gradnorm", state=out.state)
    assert (again.state["first_losses"] > 0).nonzero()[0].tolist() == [0, 3, 4, 8]


@pytest.mark.parametrize("stop_anchor", [False, True])
@pytest.mark.parametrize(("net", "shape"), [(NET, (4, 3)), (ConvNet((2, 3, 5), 2, R=9), (4, 2, 4, 4))])
def test_the_kernels_give_the_same(rng, net, shape, stop_anchor):
    params, x = random_params(rng, net), rng.standard_normal(shape)
    options = {"regularisers": {name: 0.25 + i for i, name in enumerate(REGULARISERS)}, "stop_anchor": stop_anchor}
    expected, found = (
        loss_and_grads(net, params, x, LABELS, [7, 2, 5], **options, ops=engine) for engine in (ops, kernels)
    )
    assert found.penalties == pytest.approx(expected.penalties, rel=1e-12)
    assert found.total == pytest.approx(expected.total, rel=1e-12)
    for name, g in (expected.grads | {"x": expected.dx}).items():
        np.testing.assert_allclose((found.grads | {"x": found.dx})[name], g, rtol=1e-9, atol=1e-9 * np.abs(g).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("objective", ["uncertainty", "bounded", "sum", "analytic", "softmax", "gradnorm"])
def test_dtype_is_kept(rng, dtype, objective):
    params, x = NET.init(rng, dtype), rng.standard_normal((4, 3)).astype(dtype)
    out = loss_and_grads(
        NET, params, x, LABELS, [9, 4], objective=objective, regularisers=dict.fromkeys(REGULARISERS, 0.1)
    )
    arrays = (out.losses, out.logits, out.dx, *out.grads.values(), *out.state.values())
    assert {a.dtype for a in arrays} == {np.dtype(dtype)} and out.total.dtype == dtype


def test_balls_enclose_the_floats(rng):
    params, x = random_params(rng, NET), rng.standard_normal((4, 3))
    out = loss_and_grads(NET, params, x, LABELS, RANKS)
    with working_precision(200):
        exact = loss_and_grads(
            NET, {name: to_balls(value) for name, value in params.items()}, to_balls(x), LABELS, RANKS
        )
        assert float(exact.total.rad()) < 1e-40
        assert float(exact.total.mid()) == pytest.approx(out.total, rel=1e-13)
        for name, g in out.grads.items():
            assert exact.grads[name].astype(float) == pytest.approx(g, rel=1e-11, abs=1e-12)


def test_bad_input_is_named(rng):
    params, x = random_params(rng, NET), rng.standard_normal((4, 3))
    with pytest.raises(OptionError, match=r"loss_and_grads: loss is 'hinge', expected one of 'cross_entropy'"):
        loss_and_grads(NET, params, x, LABELS, [9], loss="hinge")
    with pytest.raises(OptionError, match=r"Objective: kind is 'mean', expected one of 'uncertainty'"):
        loss_and_grads(NET, params, x, LABELS, [9], objective="mean")
    with pytest.raises(OptionError, match=r"loss_and_grads: regularisers is 'l2'"):
        loss_and_grads(NET, params, x, LABELS, [9], regularisers={"l2": 1.0})
    with pytest.raises(OptionError, match=r"loss_and_grads: regularisers\['logits'\] is -1.0"):
        loss_and_grads(NET, params, x, LABELS, [9], regularisers={"logits": -1.0})
    with pytest.raises(OptionError, match=r"loss_and_grads: objective has 2 weights, expected R = 11"):
        loss_and_grads(NET, params, x, LABELS, [9], objective=Objective("fixed", (1.0, 2.0)))
    with pytest.raises(LabelError, match=r"has the label 2"):
        loss_and_grads(NET, params, x, LABELS + 1, [9])
    with pytest.raises(OptionError, match=r"'gradnorm', expected a network with a layer after a nested one"):
        loss_and_grads(MLP((3, 2), 2, (True,)), {"layers.0.A": np.ones((2, 3)), "layers.0.B": np.ones((2, 2)),
                       "layers.0.b": np.ones(2), "s": np.zeros(2)}, x, LABELS, [1], objective="gradnorm")  # fmt: skip
