"""One operation on arrays of a given size, from the reference or from the kernels."""

import numpy as np

from nsn_ref.bench.engines import Steps

N, D_IN, D_OUT, R, CLASSES = 128, 784, 256, 64, 10
IMAGES, CHANNELS, SIDE, KERNEL = 32, 16, 16, 3
TEXTS, LENGTH, HEADS, KEY_HEADS, DEPTH, VOCABULARY = 4, 64, 8, 2, 32, 1000


def forwards(rng, dtype):
    """By stem: the inputs of the forward operation, and its keywords."""

    def draw(*shape):
        return rng.standard_normal(shape).astype(dtype)

    x, b, y = draw(N, D_IN), draw(D_OUT), draw(N, D_OUT)
    factors = draw(R, D_IN), draw(D_OUT, R)
    at = (R, R // 4)
    images, kernels = draw(IMAGES, CHANNELS, SIDE, SIDE), draw(R, CHANNELS, KERNEL, KERNEL)
    losses, s = np.abs(draw(2)) + 1, draw(R) / 8
    return {
        "dense": (x, draw(D_OUT, D_IN), b),
        "nested_linear": (x, *factors, b, R // 4),
        "multirank_linear": (x, *factors, b, at),
        "conv2d": (images, kernels, draw(R)),
        "nested_conv2d": (images, kernels, draw(D_OUT // 4, R), draw(D_OUT // 4), R // 4),
        "average_pool2d": (images, 2),
        "relu": (y,),
        "gelu": (y,),
        "silu": (y,),
        "softmax_cross_entropy": (draw(N, CLASSES), rng.integers(0, CLASSES, N)),
        "mean_squared_error": (y, draw(N, D_OUT)),
        "layer_norm": (y, b, b + 1),
        "rms_norm": (y, b),
        "nested_embedding": (rng.integers(0, D_IN, N), draw(D_IN, R), factors[1], R // 4),
        "kl_distillation": (draw(N, CLASSES), draw(N, CLASSES)),
        "hard_orthogonality": factors[:1],
        "residual_orthogonality": (factors[0], R // 4, R),
        "logits_regularisation": (draw(N, CLASSES), draw(N, CLASSES)),
        "hidden_regularisation": (y, draw(N, D_OUT)),
        "objective": (losses, s, at),
        "weighted_sum": (losses, np.abs(s), at),
    } | forwards_of_decoders(rng, draw)


def forwards_of_decoders(rng, draw):
    """As `forwards`, of the operations that a decoder adds; `draw` gives an array of a shape."""
    tokens, texts = rng.integers(0, VOCABULARY, (TEXTS, LENGTH)), draw(TEXTS, LENGTH, HEADS * DEPTH)
    queries, keys, values = (draw(TEXTS, LENGTH, heads, DEPTH) for heads in (HEADS, KEY_HEADS, KEY_HEADS))
    angles = draw(LENGTH, DEPTH // 2)
    return {
        "embedding": (tokens, draw(VOCABULARY, HEADS * DEPTH)),
        "rotary": (queries, np.cos(angles), np.sin(angles)),
        "causal_attention": (queries, keys, values),
        "swiglu": (texts, draw(TEXTS, LENGTH, HEADS * DEPTH)),
        "geglu": (texts, draw(TEXTS, LENGTH, HEADS * DEPTH)),
    }


def prepare(name, ops, dtype):
    """A function without arguments that runs an operation; the gradient that comes in is random, not ones."""
    rng = np.random.default_rng(0)
    if name.endswith("_step"):
        p, g, m, v = (rng.standard_normal((D_OUT, D_IN)).astype(dtype) for _ in range(4))
        if name == "adamw_step":
            return lambda: ops.adamw_step(p, g, m, np.abs(v), 3, lr=1e-3, weight_decay=0.1)
        return lambda: ops.sgd_step(p, g, m, lr=1e-3, momentum=0.9, weight_decay=0.1)
    stem, _, way = name.rpartition("_")
    arguments = forwards(rng, dtype)[stem]
    forward = getattr(ops, f"{stem}_forward")
    if way == "forward":
        return lambda: forward(*arguments)[0]
    y, saved = forward(*arguments)
    dy = np.asarray(rng.standard_normal(np.shape(y)), dtype)[()]
    return lambda: getattr(ops, name)(dy, saved)


class Operation(Steps):
    """One operation again and again."""

    def __init__(self, function):
        self.function = function

    def step(self, i):
        """Run it."""
        return self.function()

    def read(self, result):
        """Three random projections of each array of the result, on vectors of length 1."""
        results = result if isinstance(result, tuple) else (result,)
        rng = np.random.default_rng(1)
        found = []
        for array in results:
            flat = np.asarray(array, np.float64).reshape(-1)
            for _ in range(3):
                u = rng.standard_normal(flat.size)
                found.append(float(flat @ u / np.sqrt(u @ u)))
        return found


def make(task):
    """The operation of a task: its name, the engine and the dtype."""
    from nsn_ref.training.engines import load_engine

    engine = load_engine(task["engine"])
    ops = engine.optimizers if task["name"].endswith("_step") else engine.ops
    return Operation(prepare(task["name"], ops, task["dtype"]))
