"""The compiled step: gradients within the reference's bounds, the optimisers' own bits, what it refuses."""

import os

import numpy as np
import pytest
from steps import STILL, assert_within_bounds, certified_problem, loaded, problem

from nsn_ref import kernels
from nsn_ref.errors import DTypeError, LabelError, OptionError, RankError, ShapeError
from nsn_ref.kernels.step import MLPStep, adamw_rates, sgd_rates
from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.clipping import clip_by_global_norm
from nsn_ref.training.weighting import Objective

# widths, R, nested, cap; ranks; rows
NETS = {
    "first layer shared": (MLP((5, 7, 11, 3), R=13), (13, 4), 17),
    "one layer, its own head": (MLP((5, 3), R=7, nested=(True,)), (2, 7), 3),
    "dense layers around": (MLP((5, 7, 11, 13, 3), R=6, nested=(False, True, False, True)), (6, 3, 2), 7),
    "nested head": (MLP((19, 23, 3), R=17, nested=(True, True)), (17, 8), 11),
    "capped": (MLP((5, 37, 3), R=13, nested=(True, True), cap=True), (13, 11, 4, 2), 5),
    "anchor below R, a rank twice": (MLP((5, 7, 3), R=11), (7, 2, 7), 1),
    "one rank": (MLP((5, 7, 3), R=11), (1,), 13),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NETS)
def test_losses_and_gradients_lie_within_the_bounds_of_the_reference(rng, name, dtype):
    net, ranks, rows = NETS[name]
    (params, x, labels), truth, bounds = certified_problem(rng, net, ranks, (rows, net.widths[0]), dtype)
    for threads in (1, 2, 3):
        with loaded(net, params, (rows + 4, net.widths[0]), ranks=4, threads=threads) as step:
            assert_within_bounds(step, x, labels, ranks, truth, bounds)


@pytest.mark.parametrize("threads", [1, 2])
def test_components_that_no_rank_uses_have_no_gradient_from_a_step_before(rng, threads):
    net, _, rows = NETS["nested head"]
    params, x, labels = problem(rng, net, (rows, net.widths[0]), np.float64)
    with loaded(net, params, x.shape, threads=threads) as step:
        step.step(x, labels, (17, 2), (STILL, STILL))
        step.step(x, labels, (3, 1), (STILL, STILL))
        for i in range(2):
            A, B = step.grads[f"layers.{i}.A"], step.grads[f"layers.{i}.B"]
            assert (A[3:] == 0).all() and (B[:, 3:] == 0).all() and (A[:3] != 0).any()


@pytest.mark.parametrize("objective", ["classification", "bounded", (0.5, 3.0)])
def test_objectives(rng, objective):
    net, ranks, rows = NETS["nested head"]
    params, x, labels = problem(rng, net, (rows, net.widths[0]), np.float64)
    fixed = isinstance(objective, tuple)
    weights = np.zeros(net.R)
    weights[[r - 1 for r in ranks]] = objective if fixed else 0
    expected = loss_and_grads(
        net, params, x, labels, ranks, objective=Objective("fixed", weights=tuple(weights)) if fixed else objective
    )
    with loaded(net, params, x.shape) as step:
        options = {"weights": objective} if fixed else {"objective": objective}
        result = step.step(x, labels, ranks, (STILL, STILL), **options)
        assert result.total == pytest.approx(float(expected.total), rel=1e-13)
        for name, g in expected.grads.items():
            assert step.grads[name] == pytest.approx(g, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("clip", [None, 0.125])
def test_the_update_is_that_of_the_kernels(rng, optimizer, dtype, clip):
    net, ranks, rows = NETS["dense layers around"]
    params, x, labels = problem(rng, net, (rows, net.widths[0]), dtype)
    m = {name: rng.standard_normal(p.shape).astype(dtype) for name, p in params.items()}
    v = {name: rng.random(p.shape).astype(dtype) for name, p in params.items()}
    options = {"lr": 0.25, "weight_decay": 0.125}
    if optimizer == "adamw":
        rates = adamw_rates(3, **options), adamw_rates(3, lr=0.5)
    else:
        rates = sgd_rates(momentum=0.5, **options), sgd_rates(momentum=0.5, lr=0.5)
    with loaded(net, params, x.shape, m, v, ranks=3, threads=2, optimizer=optimizer) as step:
        result = step.step(x, labels, ranks, rates, clip=clip)
        for name, p in params.items():
            own = {"lr": 0.5} if name == "s" else options if name[-1] in "ABW" else {"lr": 0.25}
            if optimizer == "adamw":
                after = kernels.adamw_step(p, step.grads[name], m[name], v[name], 3, **own)
                assert (step.v[name] == after.v).all()
            else:
                after = kernels.sgd_step(p, step.grads[name], m[name], momentum=0.5, **own)
            assert (step.params[name] == after.p).all() and (step.m[name] == after.m).all()
        assert step.steps == 1 and result.finite
        grads = {name: g for name, g in step.grads.items() if name != "s"}
        _, norm = clip_by_global_norm(grads, None)
        assert (norm if clip is None else result.grad_norm) == pytest.approx(max(result.grad_norm, norm), rel=1e-5)
        assert clip is None or norm == pytest.approx(clip, rel=1e-5)


@pytest.mark.parametrize(("rows", "own_copies"), [(17, True), (2, False)])  # intermediates outnumber parameters, or not
def test_every_member_goes_on_with_what_the_others_updated(rng, rows, own_copies):
    net, ranks, _ = NETS["first layer shared"]
    params, x, labels = problem(rng, net, (rows, *net.widths[:1]), np.float64)
    found = []
    for threads in (1, 2, 3):
        with loaded(net, params, x.shape, threads=threads) as step:
            assert len(step._model.space.p) == (threads if own_copies else 1)
            rates = [(adamw_rates(t, lr=0.1),) * 2 for t in range(1, 6)]
            found.append([step.step(x, labels, ranks, rate).losses for rate in rates])
    np.testing.assert_allclose(found[1:], [found[0]] * 2, rtol=1e-9, atol=1e-12)
    assert found[0][-1].sum() < 0.9 * found[0][0].sum()


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_clipping_neither_overflows_nor_underflows(rng, scale):
    net, ranks, rows = NETS["one rank"]
    params, x, labels = problem(rng, net, (rows, net.widths[0]), np.float64)
    with loaded(net, params, x.shape) as step:
        plain = step.step(x, labels, ranks, (STILL, STILL), weights=(1.0,))
        result = step.step(x, labels, ranks, (STILL, STILL), weights=(scale,), clip=scale * 1e-3)
        assert result.grad_norm == pytest.approx(scale * plain.grad_norm, rel=1e-12)
        clipped = {name: g / scale for name, g in step.grads.items() if name != "s"}
        assert clip_by_global_norm(clipped, None)[1] == pytest.approx(1e-3, rel=1e-12)


def test_what_is_not_finite_is_seen(rng):
    net, ranks, rows = NETS["first layer shared"]
    params, x, labels = problem(rng, net, (rows, net.widths[0]), np.float32)
    params["layers.1.B"][3, 2] = np.nan
    with loaded(net, params, x.shape, threads=2) as step:
        assert not step.step(x, labels, ranks, (STILL, STILL)).finite


def test_an_infinite_loss_is_seen_though_its_gradient_is_finite(rng):
    net = MLP((5, 3), R=7, nested=(True,))
    params, x, _ = problem(rng, net, (3, 5), np.float32)
    params["layers.0.b"][:] = 3e38, -3e38, 0  # the logits lie further apart than float32 reaches
    with loaded(net, params, x.shape) as step:
        result = step.step(x, np.array([0, 1, 0]), (7, 2), (STILL, STILL), weights=(1.0, 1.0))
        assert np.isinf(result.losses).all() and not result.finite
        assert all(np.isfinite(step.params[name]).all() for name in params)


@pytest.mark.parametrize(
    ("net", "dtype", "message"),
    [
        (MLP((5, 7, 3), R=3, activation="gelu"), np.float32, "MLPStep: the activation is 'gelu', expected"),
        (MLP((5, 7, 3), R=3, nested=(False, False)), np.float32, "MLPStep: the network is no multilayer perceptron"),
        (MLP((5, 7, 3), R=3), np.float16, "MLPStep: dtype is 'float16', expected one of 'float32', 'float64'"),
    ],
)
def test_what_the_step_is_not_written_for_is_refused(net, dtype, message):
    with pytest.raises(OptionError, match=message):
        MLPStep(net, dtype, rows=3)


def test_layouts_of_the_input_do_not_matter_and_equal_calls_give_equal_bits(rng):
    net, ranks, rows = NETS["nested head"]
    params, x, labels = problem(rng, net, (rows, net.widths[0]), np.float32)
    strided = np.repeat(x, 2, axis=1)[:, ::2]
    frozen = x.copy()
    frozen.flags.writeable = False
    found = []
    for x_like, labels_like in ((x, labels), (strided, labels.astype(np.int32)), (np.asfortranarray(frozen), labels)):
        with loaded(net, params, (rows + 1, 19), threads=2) as step:
            step.step(x_like, labels_like, ranks, (STILL, STILL))
            found.append({name: g.copy() for name, g in step.grads.items()})
    assert all((found[0][name] == other[name]).all() for other in found[1:] for name in other)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.zeros((3, 5))}, DTypeError, "x is an array of float64, expected an array of float32"),
        ({"x": np.zeros((3, 4), np.float32)}, ShapeError, r"x has shape \(3, 4\), expected \(1..3, 5\)"),
        ({"x": np.zeros((0, 5), np.float32)}, ShapeError, r"x has shape \(0, 5\), expected \(1..3, 5\)"),
        ({"x": np.zeros((4, 5), np.float32)}, ShapeError, r"x has shape \(4, 5\), expected \(1..3, 5\)"),
        ({"x": [[0.0] * 5] * 3}, DTypeError, "x is a list"),
        ({"labels": np.zeros(3)}, DTypeError, "labels is an array of float64, expected an array of integers"),
        ({"labels": np.zeros(2, int)}, ShapeError, r"labels has shape \(2,\), expected \(3,\)"),
        ({"labels": np.array([0, 3, 1])}, LabelError, r"labels has the label 3, expected integers in 0..2"),
        ({"labels": np.array([0, 1, -1])}, LabelError, r"labels has the label -1"),
        ({"ranks": (8, 1)}, RankError, "8"),
        ({"ranks": (7, 2, 1)}, ShapeError, "ranks has 3 ranks, expected at most 2"),
        ({"objective": "plain"}, OptionError, "objective is 'plain'"),
    ],
)
def test_what_is_refused_changes_nothing(rng, change, error, message):
    net = MLP((5, 3), R=7, nested=(True,))
    params, x, labels = problem(rng, net, (3, 5), np.float32)
    with loaded(net, params, x.shape) as step:
        before = {name: p.copy() for name, p in step.params.items()}
        call = {"x": x, "labels": labels, "ranks": (7, 2), "objective": "uncertainty"} | change
        with pytest.raises(error, match=message):
            step.step(
                call["x"], call["labels"], call["ranks"], (adamw_rates(1, lr=1.0),) * 2, objective=call["objective"]
            )
        assert step.steps == 0 and all((step.params[name] == p).all() for name, p in before.items())


def test_a_closed_step_is_refused(rng):
    net, ranks, rows = NETS["one rank"]
    params, x, labels = problem(rng, net, (rows, net.widths[0]), np.float32)
    step = loaded(net, params, x.shape, threads=2)
    step.close()
    step.close()
    with pytest.raises(OptionError, match="its threads have ended"):
        step.step(x, labels, ranks, (STILL, STILL))


@pytest.mark.parametrize(("option", "value"), [("rows", 0), ("ranks", 1.5), ("threads", 0), ("optimizer", "adam")])
def test_bad_options_are_named(option, value):
    with pytest.raises(OptionError, match=f"MLPStep: {option} is {value!r}"):
        MLPStep(NETS["one rank"][0], np.float32, **{"rows": 3} | {option: value})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.filterwarnings(r"ignore:.*fork\(\)")  # of JAX, say, if a test before has loaded it
def test_a_child_process_is_refused_and_ends(rng):
    """The threads stay with the parent: a step would wait for them for ever."""
    net, ranks, rows = NETS["one rank"]
    params, x, labels = problem(rng, net, (rows, net.widths[0]), np.float32)
    with loaded(net, params, x.shape, threads=2) as step:
        child = os.fork()
        if child == 0:
            try:
                step.step(x, labels, ranks, (STILL, STILL))
            except OptionError:
                step.close()
                os._exit(7)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert step.step(x, labels, ranks, (STILL, STILL)).finite
