"""Networks: the forward pass at one rank, loss and gradients at K ranks, whole training steps.

Their tensors depend on the depth. They are listed in the order of computation, so that the first one that is wrong
names the stage that is.
"""

from nsn_ref.golden.schema.objectives import ADAMW, VARIANT
from nsn_ref.golden.schema.parts import RANK, RANKS, Attr, Operation, Tensor, optional, weight

DEPTH = Attr("depth", "int", "number of linear layers and convolutions, L", default=2)
HEAD = Attr("head", "name", '"nested" or "dense": the last layer')
ACTIVATION = Attr("activation", "name", '"relu", "gelu" (erf), "gelu_tanh" or "silu"')


def parameters(attrs, convolutional=False):
    """The parameters of a net, in the order of its layers."""
    return tuple(p for i in range(attrs["depth"]) for p in _layer(i, attrs, convolutional)) + (weight("s", "R"),)


def _layer(i, attrs, convolutional):
    last = i == attrs["depth"] - 1
    d_in, d_out = _width(i - 1, attrs, convolutional), _width(i, attrs, convolutional)
    key, kernel = f"layers.{i}", " k k" if convolutional and not last else ""
    if last and attrs["head"] == "dense":
        return weight(f"{key}.W", f"{d_out} {d_in}"), weight(f"{key}.b", d_out)
    return weight(f"{key}.A", f"R {d_in}{kernel}"), weight(f"{key}.B", f"{d_out} R"), weight(f"{key}.b", d_out)


def _width(i, attrs, convolutional):
    """The letter of the width of layer i's output; -1 is the input."""
    if i == attrs["depth"] - 1:
        return "C"
    return (f"c_{i}" if i >= 0 else "c_in") if convolutional else (f"width_{i}" if i >= 0 else "d_in")


def _prefixed(prefix, tensors):
    return tuple(t._replace(name=f"{prefix}.{t.name}") for t in tensors)


def _states(attrs, convolutional):
    """Parameters and moments."""
    return tuple(t for prefix in ("param", "m", "v") for t in _prefixed(prefix, parameters(attrs, convolutional)))


def _forward(attrs, convolutional=False, ranks="K "):
    """Bottleneck h, its output z and the activation a of each layer, then the logits."""
    stages = []
    for i in range(attrs["depth"]):
        last = i == attrs["depth"] - 1
        image = f" H_{i} W_{i}" if convolutional and not last else ""
        if not (last and attrs["head"] == "dense"):
            stages.append(optional(f"h.{i}", f"{ranks}n top{image}"))
        if not last:
            width = f"{ranks}n {_width(i, attrs, convolutional)}{image}"
            stages += [optional(f"z.{i}", width), optional(f"a.{i}", width)]
    return (*stages, Tensor("logits", f"{ranks}n C"))


def _loss_and_grads(attrs, convolutional=False):
    """The forward pass, losses and total, and the gradients from the last layer to the first."""
    stages = [*_forward(attrs, convolutional), Tensor("losses", "K", master=True)]
    stages += [Tensor("w", "K", optional=True, master=True), Tensor("total", "", master=True)]
    stages += [Tensor("grad.s", "R", master=True), optional("dlogits", "K n C")]
    cotangents = {t.name: t for t in stages}
    for i in reversed(range(attrs["depth"])):
        if i < attrs["depth"] - 1:
            stages += [cotangents[f"{name}.{i}"]._replace(name=f"d{name}.{i}") for name in "az"]
        stages += _prefixed("grad", _layer(i, attrs, convolutional))
    return tuple(stages)


def _net(name, meaning, attrs, inputs, outputs):
    """An operation whose tensors are functions of the attributes."""
    return Operation(name, meaning, (), attrs, (), lambda which, a: (inputs if which == "inputs" else outputs)(a))


_X = Tensor("x", "n d_in")
_IMAGES = Tensor("x", "n c_in H_0 W_0")
_LABELS = Tensor("targets", "n", "int64")
_SHAPE = (ACTIVATION, HEAD, DEPTH)

OPERATIONS = (
    _net(
        "mlp_forward",
        "logits of a nested MLP at one rank",
        (RANK, *_SHAPE),
        lambda a: (_X, *_prefixed("param", parameters(a))),
        lambda a: _forward(a, ranks=""),
    ),
    _net(
        "mlp_loss_and_grads",
        "a nested MLP at K ranks: losses, objective, and its gradients",
        (RANKS, *_SHAPE, VARIANT),
        lambda a: (_X, _LABELS, *_prefixed("param", parameters(a))),
        _loss_and_grads,
    ),
    _net(
        "mlp_step",
        "one training step of a nested MLP: the same, then AdamW",
        (RANKS, *_SHAPE, VARIANT, *ADAMW),
        lambda a: (_X, _LABELS, *_states(a, False)),
        lambda a: (*_loss_and_grads(a), *_states(a, False)),
    ),
    _net(
        "convnet_step",
        "one training step of a nested convolutional net",
        (RANKS, *_SHAPE, VARIANT, *ADAMW),
        lambda a: (_IMAGES, _LABELS, *_states(a, True)),
        lambda a: (*_loss_and_grads(a, True), *_states(a, True)),
    ),
)
