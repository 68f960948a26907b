"""Cases of whole networks beside the two-layer step: forward at one rank, loss and gradients, deeper nets, images."""

from functools import partial
from typing import NamedTuple

import numpy as np

from nsn_ref import ops as reference
from nsn_ref.golden.cases.case import ALL, PLAIN, Design
from nsn_ref.golden.cases.draws import MARGIN, MOMENT, rounded, signs, small
from nsn_ref.golden.cases.mlp_step import ADAMW
from nsn_ref.golden.cases.objective import distinct
from nsn_ref.golden.evaluate.nets import Recorder, convnet, mlp
from nsn_ref.golden.groups import name_groups


class Net(NamedTuple):
    """Sizes and scales."""

    n: int
    widths: tuple  # of an image, channels
    R: int
    head: str = "nested"
    activation: str = "relu"
    shift: float = 0.0  # added to the biases of the hidden layers
    kernel: int = 0  # of a convolutional net
    image: tuple = ()

    @property
    def attrs(self):
        """The attributes that describe the shape."""
        return {"activation": self.activation, "head": self.head, "depth": len(self.widths) - 1}


def parameters(net, rng):
    """Components that grow, activations of about one, biases that are not zero, distinct log-variances."""
    params, depth = {}, len(net.widths) - 1
    for i, (d_in, d_out) in enumerate(zip(net.widths, net.widths[1:], strict=False)):
        last, key, grow = i == depth - 1, f"layers.{i}", np.linspace(0.7, 1.3, net.R)
        pixels = (net.kernel, net.kernel) if net.kernel and not last else ()
        fan_in = d_in * int(np.prod(pixels))
        if last and net.head == "dense":
            params[f"{key}.W"] = 1.5 * rng.standard_normal((d_out, d_in)) / np.sqrt(d_in)
        else:
            A = rng.standard_normal((net.R, d_in, *pixels)) / np.sqrt(fan_in)
            params[f"{key}.A"] = A * grow.reshape(net.R, *[1] * (A.ndim - 1))
            params[f"{key}.B"] = 1.5 * rng.standard_normal((d_out, net.R)) * grow / np.sqrt(net.R)
        params[f"{key}.b"] = 0.3 * rng.standard_normal(d_out) + (0 if last else net.shift)
    return params | {"s": distinct(rng, net.R, 2.0)}


def draw(net, ranks, moments, rng, dtype):
    """A batch and parameters, with moments for a step; no input of a ReLU is near 0 for its format."""
    params = parameters(net, rng)
    if dtype not in ("float64", "float32"):  # so that the margin holds for the numbers as they are stored
        params = {key: rounded(p, dtype) for key, p in params.items()}
    x = far_from_zero(net, params, ranks, rng, dtype) if net.activation == "relu" else images(net, net.n, rng)
    tensors = {"x": x, "targets": rng.permutation(np.arange(net.n) % net.widths[-1])}
    m, v = {}, {}
    if moments:
        rms = MOMENT.get(dtype, 0.01)
        m = {key: 0.05 * rng.standard_normal(p.shape) for key, p in params.items()}
        v = {key: (rms * rng.uniform(0.1, 1, p.shape)) ** 2 for key, p in params.items()}
    return tensors | name_groups(params, m, v)


def images(net, n, rng):
    """n inputs of the net."""
    return rng.standard_normal((n, net.widths[0], *net.image))


def far_from_zero(net, params, ranks, rng, dtype):
    """Inputs for which no activation's input is near 0, at any of the ranks."""
    candidates = rounded(images(net, 4000 * net.n, rng), dtype)
    margins = np.concatenate([pre_activations(net, params, candidates, r) for r in ranks], axis=1)
    largest = np.abs(margins).max()
    good = (np.abs(margins) > MARGIN[dtype] * largest / 4).all(axis=1)
    if good.sum() < net.n:
        raise ValueError(f"{good.sum()} of {len(good)} inputs are far enough from zero, expected {net.n}")
    return candidates[good][: net.n]


def pre_activations(net, params, x, rank):
    """The inputs of all ReLUs, one row for each input of the net."""
    ops = Recorder(reference)
    make = convnet if net.kernel else mlp
    make(params, net.attrs).forward(params, x, rank, ops)
    return np.concatenate([saved.z.reshape(len(x), -1) for _, saved in ops.calls["relu_forward"]], axis=1)


# --- exact: a ReLU net of small integers ------------------------------------------------------------------------------


def integer_net(rng, dtype):
    """Three layers of signs and zeros; many inputs of the activations are exactly 0."""
    params = {}
    for i, (d_in, d_out) in enumerate(zip((5, 7, 3), (7, 3, 2), strict=True)):
        params[f"param.layers.{i}.A"] = sparse(rng, 11, d_in, 1)
        params[f"param.layers.{i}.B"] = sparse(rng, 11, d_out, 1).T.copy()
        params[f"param.layers.{i}.b"] = signs(rng, d_out)
    return {"x": small(rng, 11, 5), **params, "param.s": np.zeros(11)}


def sparse(rng, rows, columns, count):
    """One sign in each row, and zeros; components from the sixth on are large."""
    out = np.zeros((rows, columns))
    for i in range(rows):
        out[i, rng.choice(columns, count, replace=False)] = rng.choice([-1.0, 1.0], count) * (1 if i < 5 else 32)
    return out


DEEP = (*PLAIN, "bfloat16", "bfloat16_master")  # bounds grow with the depth; what remains is judged stage by stage

# --- the tables -------------------------------------------------------------------------------------------------------

_MLP = Net(5, (7, 11, 5, 3), 13)
_GELU = _MLP._replace(activation="gelu_tanh", shift=-1.0)
_IMAGES = Net(3, (2, 3, 5), 7, kernel=3, image=(3, 5))
_DEEP_IMAGES = Net(2, (2, 3, 5, 3), 11, head="dense", activation="gelu", kernel=3, image=(4, 2))


def _forward(name, net, rank, flag, why, formats=ALL):
    return Design(
        "mlp_forward",
        name,
        "certified",
        {"rank": rank} | net.attrs,
        partial(draw, net, [rank], False),
        flag,
        why,
        formats,
    )


def _ranked(op, name, net, ranks, variant, flag, why, formats=ALL, **adamw):
    step = op.endswith("step")
    attrs = {"ranks": ranks} | net.attrs | {"variant": variant} | (ADAMW | adamw if step else {})
    return Design(op, name, "certified", attrs, partial(draw, net, ranks, step), flag, why, formats)


DESIGNS = (
    _forward("deep-001", _GELU, 6, "stages of the forward pass",
             "Anything in the chain: the first tensor that fails, of h, z and a of each layer, tells."),
    _forward("dense-head-001", _GELU._replace(head="dense", activation="silu"), 9, "head at a rank",
             "The dense head is cut to the rank, or the activation is applied to the logits too."),
    _forward("rank-one-001", _MLP._replace(n=1, activation="gelu"), 1, "rank one",
             "At rank 1, for a batch of one, an axis is lost."),
    _forward("full-rank-001", _MLP._replace(widths=(5, 7, 3)), 13, "last component",
             "At rank R, above every width, the last components are left out or the rank is clipped."),
    Design("mlp_forward", "integers-001", "exact", {"rank": 5, "activation": "relu", "head": "nested", "depth": 3},
           integer_net, "wrong component or stage",
           "A net of signs and zeros: any sum is exact, and large components lie above the rank.", ALL),
    _ranked("mlp_loss_and_grads", "deep-001", _GELU, [11, 4], "uncertainty", "stages of the backward pass",
            "Anything in the chain: the first tensor that fails, in the order of computation, tells."),
    _ranked("mlp_loss_and_grads", "dense-head-001", _GELU._replace(head="dense", n=7), [4, 9, 4], "bounded",
            "one rank's gradient", "Gradients of one of the ranks overwrite those of the others instead of adding up."),
    _ranked("mlp_loss_and_grads", "relu-001", _MLP._replace(widths=(5, 7, 3)), [9, 4], "classification",
            "derivative of the activation", "The derivative is taken at the output, or at another rank's input."),
    _ranked("mlp_loss_and_grads", "silu-batch-one-001", _GELU._replace(n=1, activation="silu"), [12, 1], "uncertainty",
            "batch of one", "A batch of one loses its axis; rank 1 and a rank above every width at once."),
    _ranked("mlp_step", "deep-001", _GELU, [11, 4], "uncertainty", "the whole step of a deeper net",
            "The cotangent of a hidden layer is that of another layer or rank.", DEEP),
    _ranked("mlp_step", "deep-dense-head-001", _MLP._replace(head="dense", activation="gelu", n=7), [5, 12, 2],
            "classification", "decay of the biases", "Biases are not decayed, or s is; t is that of another step.",
            DEEP, t=3),
    _ranked("convnet_step", "relu-001", _IMAGES, [6, 3], "uncertainty", "the whole step",
            "Anything in the chain: the first tensor that fails, in the order of computation, tells."),
    _ranked("convnet_step", "gelu-001", _DEEP_IMAGES, [4, 9], "classification", "pool between convolutions",
            "The pool between the convolutions comes before the activation, or its gradient is not divided."),
    _ranked("convnet_step", "batch-one-001", _IMAGES._replace(n=1, activation="silu", widths=(3, 2, 5)), [7, 1],
            "bounded", "batch of one", "A batch of one image loses its axis; rank 1 and rank R at once."),
)  # fmt: skip
