"""The compiled step of convolutional nets: gradients within the reference's bounds, whatever the pieces."""

import numpy as np
import pytest
from numba import types
from steps import STILL, assert_within_bounds, certified_problem, loaded, problem

from nsn_ref.errors import OptionError, ShapeError
from nsn_ref.kernels.step import ConvStep, image_layout
from nsn_ref.kernels.step.step import lead
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.mlp import MLP

# channels, classes, R, ...; ranks; shape of a batch
NETS = {
    "first layer shared": (ConvNet((2, 3, 5), 3, R=11), (11, 3), (7, 2, 4, 6)),
    "dense layers around": (
        ConvNet((1, 2, 3, 5), 2, R=3, nested=(False, True, False, True)), (3, 1), (2, 1, 4, 8),
    ),
    "all nested and capped, a rank twice": (
        ConvNet((2, 5, 3), 7, R=7, nested=(True, True, True), cap=True), (7, 2, 7), (3, 2, 2, 6),
    ),
    "kernel larger than the image, anchor below R": (ConvNet((3, 2), 5, R=7, kernel=5), (5, 2), (5, 3, 3, 2)),
    "kernel of one, rank one, one image": (ConvNet((5, 3, 2), 3, R=1, kernel=1), (1,), (1, 5, 2, 2)),
    "head alone nested": (ConvNet((2, 3), 5, R=7, nested=(False, True)), (7, 2), (5, 2, 3, 2)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NETS)
def test_losses_and_gradients_lie_within_the_bounds_of_the_reference(rng, name, dtype, monkeypatch):
    """With one image at a time through the net, and with all."""
    net, ranks, shape = NETS[name]
    (params, x, labels), truth, bounds = certified_problem(rng, net, ranks, shape, dtype)
    room = shape[0] + 4, *shape[1:]
    for threads, cache in ((1, 1), (2, 1), (3, 1), (1, 1 << 20), (2, 1 << 20)):
        monkeypatch.setattr(image_layout, "CACHE", cache)
        with loaded(net, params, room, ranks=4, threads=threads) as step:
            step.step(-x[:1], labels[:1], ranks, (STILL, STILL))  # leaves nothing behind
            assert_within_bounds(step, x, labels, ranks, truth, bounds)


@pytest.mark.parametrize(("image", "fits"), [((4, 6), True), ((128, 256), False)])
def test_a_piece_is_what_the_cache_holds(image, fits):
    """As many images as it holds, or one that it does not hold; the batch itself lies beside it."""
    net, rows = ConvNet((2, 3, 5), 3, R=11), 300
    with ConvStep(net, "float32", rows=rows, image=image, threads=1) as step:
        piece, batch = step._model.piece, 4 * rows * 2 * (image[0] + 2) * (image[1] + 2)
        intermediates = step._model.space.w.nbytes - batch
        assert piece < rows and (intermediates <= image_layout.CACHE) == fits
        assert intermediates * (piece + 1) / piece > image_layout.CACHE and (fits or piece == 1)


@pytest.mark.parametrize("threads", [1, 2])
def test_layouts_of_the_input_do_not_matter_and_equal_calls_give_equal_bits(rng, threads):
    net, ranks, shape = NETS["first layer shared"]
    params, x, labels = problem(rng, net, shape, np.float32)
    frozen, found = x.copy(), []
    frozen.flags.writeable = False
    for like in (x, frozen, np.asfortranarray(x), np.repeat(x, 2, axis=3)[..., ::2]):
        with loaded(net, params, (shape[0] + 1, *shape[1:]), threads=threads) as step:
            step.step(like, labels, ranks, (STILL, STILL))
            found.append({name: g.copy() for name, g in step.grads.items()})
    assert all((found[0][name] == other[name]).all() for other in found[1:] for name in other)


def test_perceptrons_and_convolutional_nets_share_one_compiled_function(rng):
    """What is compiled for the one, by `nsn-ref warm` say, serves the other."""
    for net, shape in ((MLP((5, 7, 3), R=3), (2, 5)), (ConvNet((1, 2), 3, R=3), (2, 1, 3, 2))):
        params, x, labels = problem(rng, net, shape, np.float32)
        with loaded(net, params, shape) as step:
            step.step(x, labels, (3, 1), (STILL, STILL))
    assert sum(signature[1].dtype == types.float32 for signature in lead.signatures) == 1


def test_parameters_are_seen_in_the_shapes_of_the_network(rng):
    net, _, shape = NETS["first layer shared"]
    params, _, _ = problem(rng, net, shape, np.float64)
    with loaded(net, params, shape, m=params, v=params) as step:
        for views in (step.params, step.m, step.v):
            assert all((views[name] == p).all() and views[name].shape == p.shape for name, p in params.items())


@pytest.mark.parametrize(
    ("net", "image", "error", "message"),
    [
        (
            ConvNet((1, 2), 3, R=2, activation="gelu"),
            (3, 3),
            OptionError,
            "ConvStep: the activation is 'gelu', expected",
        ),
        (
            ConvNet((1, 2), 3, R=2, nested=(False, False)),
            (3, 3),
            OptionError,
            "ConvStep: the network is no convolution",
        ),
        (ConvNet((1, 2), 3, R=2), (0, 3), OptionError, "ConvStep: image is"),
        (
            ConvNet((1, 2, 2), 3, R=2),
            (3, 4),
            ShapeError,
            r"x has shape \(1, 1, 3, 4\), expected H and W divisible by 2",
        ),
    ],
)
def test_what_the_step_is_not_written_for_is_refused(net, image, error, message):
    with pytest.raises(error, match=message):
        ConvStep(net, np.float32, rows=3, image=image)


def test_images_of_another_size_are_refused(rng):
    net, ranks, shape = NETS["first layer shared"]
    params, x, labels = problem(rng, net, shape, np.float32)
    with loaded(net, params, shape) as step:
        with pytest.raises(ShapeError, match=r"ConvStep.step: x has shape \(7, 2, 6, 4\), expected \(1..7, 2, 4, 6\)"):
            step.step(x.swapaxes(2, 3), labels, ranks, (STILL, STILL))
        assert step.steps == 0
