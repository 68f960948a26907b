"""Cases of activations and losses."""

from functools import partial

import numpy as np

from nsn_ref.golden.cases.case import NO_PRODUCTS
from nsn_ref.golden.cases.draws import designs, signs, small

SATURATED = {"float64": 30.0, "float32": 12.0, "tf32": 12.0, "bfloat16": 12.0, "float16": 8.0, "bfloat16_master": 12.0}


def spread(low, high, shape, rng, dtype):
    """Numbers that cover an interval, in no order."""
    count = int(np.prod(shape))
    places = low + (high - low) * (np.arange(count) + rng.uniform(0.1, 0.9, count)) / count
    return {"z": rng.permutation(places).reshape(shape)}


def saturated(rng, dtype):
    """Far from zero on both sides: the function is 0 or z there, to the last bit or nearly so."""
    return {"z": np.concatenate([-signs(rng, 7), signs(rng, 6)]) * SATURATED[dtype] * rng.uniform(0.5, 1, 13)}


def beyond_exp(rng, dtype):
    """So far from zero that exp(z) is infinite, in the float32 of shorter formats exp(-z) too."""
    z = np.concatenate([rng.uniform(720, 750, 4), -rng.uniform(650, 700, 3)])
    return {"z": rng.permutation(z) * (1 if dtype == "float64" else 0.14)}


def with_zeros(rng, dtype):
    """Normal numbers, one in three replaced by zero."""
    z = rng.standard_normal((7, 5))
    z.flat[::3] = 0
    return {"z": z}


def _smooth(wrong):
    return (
        ("real-001", "certified", partial(spread, -2.0, 2.0, (5, 7)), "form of the function", wrong),
        ("negative-001", "certified", partial(spread, -6.0, -0.25, (23,)), "cancellation",
         "The function cancels for inputs between -6 and 0 (1 + erf, 1 + tanh), or its derivative does."),
        ("saturated-001", "certified", saturated, "overflow",
         "Far from zero a power overflows or the derivative is not that of 0 or z."),
        ("sequence-001", "certified", partial(spread, -4.0, 4.0, (2, 3, 5)), "shape",
         "With three axes the shape is changed, or the cotangent of the wrong element is used."),
    )  # fmt: skip


def _with(attrs, rows):
    return tuple((name, lane, attrs, *rest) for name, lane, *rest in rows)


def _named(prefix, rows):
    return tuple((f"{prefix}-{name}", *rest) for name, *rest in rows)


_RELU = (
    ("zeros-001", "certified", {}, with_zeros, "derivative at zero",
     "At exactly zero the derivative is taken as 1 or 1/2 instead of 0."),
    ("exact-001", "exact", {}, with_zeros, "operand rounding",
     "Nothing is rounded here: whatever differs in the last bit went through another format.",
     lambda rng, dtype, shape: rng.standard_normal(shape)),
    ("large-001", "exact", {}, partial(spread, -20.0, 20.0, (17,)), "large inputs",
     "The function is cut off at 6, or its mask is.", lambda rng, dtype, shape: rng.standard_normal(shape)),
    ("sequence-001", "certified", {}, partial(spread, -3.0, 3.0, (2, 3, 5)), "shape",
     "With three axes the shape is changed, or the mask is that of the output's sign after scaling."),
)  # fmt: skip


_BEYOND = (
    "beyond-001", "certified", {}, beyond_exp, "overflow of exp",
    "exp(z) or exp(-z) is infinite, and a quotient of two infinities is taken.",
)  # fmt: skip


# --- losses -----------------------------------------------------------------------------------------------------------


def _cross_entropy(targets="labels", reduction="mean", ignore_index=-100, label_smoothing=0.0):
    return {
        "targets": targets, "reduction": reduction, "ignore_index": ignore_index, "label_smoothing": label_smoothing,
    }  # fmt: skip


def labelled(leading, C, scale, rng, dtype):
    """Logits and labels of every class."""
    count = int(np.prod(leading))
    labels = rng.permutation(np.arange(count) % C).reshape(leading)
    return {"z": scale * rng.standard_normal((*leading, C)), "targets": labels}


def confident(rng, dtype):
    """One logit of each row is beyond 100, and not that of the label."""
    z, labels = rng.standard_normal((5, 7)), rng.integers(0, 7, 5)
    z[np.arange(5), (labels + 1 + rng.integers(0, 6, 5)) % 7] += rng.uniform(100, 140, 5) * [1, 1, 1, 1, 0.1]
    z[2] -= 300
    return {"z": z, "targets": labels}


def beyond(rng, dtype):
    """Logits about 900, 0 and -5, in two orders; the label is not the largest one's."""
    z = np.array([[900.0, 0.0, -5.0], [-5.0, 900.0, 0.0]]) + rng.uniform(-1, 1, (2, 3))
    return {"z": z, "targets": np.array([1, 0])}


def ignoring(ignored, rng, dtype):
    """Three rows of seven have the ignored label."""
    tensors = labelled((7,), 5, 2.0, rng, dtype)
    tensors["targets"][[0, 3, 6]] = ignored
    return tensors


def soft(leading, C, rng, dtype):
    """Target probabilities, which sum to one or nearly so."""
    q = rng.random((*leading, C))
    return {"z": 2 * rng.standard_normal((*leading, C)), "targets": q / q.sum(axis=-1, keepdims=True)}


def level(rng, dtype):
    """All logits of a row are equal: every probability is 1 / 8."""
    return {"z": np.repeat(small(rng, 3, 1), 8, axis=1), "targets": np.array([0, 3, 7])}


_CROSS_ENTROPY = (
    ("real-001", "certified", _cross_entropy(), partial(labelled, (7,), 5, 2.0), "mean over the rows",
     "The loss is divided by the number of classes or not at all, or a label is off by one."),
    ("sum-001", "certified", _cross_entropy(reduction="sum"), partial(labelled, (5,), 7, 2.0), "reduction",
     "With the reduction \"sum\" the mean is taken, in the loss or in its gradient."),
    ("sequence-001", "certified", _cross_entropy(), partial(labelled, (2, 3), 5, 2.0), "two leading axes",
     "With the leading axes (B, T) the mean is over one of them, or classes are taken along the wrong axis."),
    ("batch-one-001", "certified", _cross_entropy(), partial(labelled, (1,), 11, 2.0), "batch of one",
     "A batch of one loses its axis."),
    ("confident-001", "certified", _cross_entropy(), confident, "overflow of exp(logits)",
     "Logits beyond 100, confident and wrong: the softmax overflows, or log(0) is taken."),
    ("beyond-001", "certified", _cross_entropy(), beyond, "overflow in float64",
     "Logits of 900: exp overflows in any format unless the largest is subtracted, and the label's probability is 0."),
    ("square-001", "certified", _cross_entropy(), partial(labelled, (5,), 5, 2.0), "axis of the classes",
     "As many rows as classes: the softmax is over the wrong axis, and no shape tells."),
    ("ignored-001", "certified", _cross_entropy(), partial(ignoring, -100), "ignored rows in the mean",
     "Ignored rows count in the mean, or get a gradient that is not exactly zero."),
    ("ignored-class-001", "certified", _cross_entropy(ignore_index=2, reduction="sum"), partial(ignoring, 2),
     "an ignored class", "Rows with a label that is a class, but is to be ignored, count."),
    ("smoothed-001", "certified", _cross_entropy(label_smoothing=0.1), partial(labelled, (5,), 7, 2.0),
     "label smoothing", "Smoothing gives l / (C - 1) to the other classes instead of l / C to all, or is left out."),
    ("smoothed-ignored-001", "certified", _cross_entropy(label_smoothing=0.3, ignore_index=1), partial(ignoring, 1),
     "smoothing of ignored rows", "The smoothing part of an ignored row counts."),
    ("soft-001", "certified", _cross_entropy(targets="soft"), partial(soft, (5,), 7), "soft targets",
     "Soft targets are taken for the largest one's label, or their sum is taken for 1 in the gradient."),
    ("soft-smoothed-001", "certified", _cross_entropy("soft", "sum", label_smoothing=0.2), partial(soft, (2, 3), 5),
     "soft targets smoothed", "Soft targets are smoothed by another rule than labels."),
    ("level-001", "certified", _cross_entropy(), level, "shift of the logits",
     "All logits are equal: the loss is ln 8 whatever is subtracted."),
)  # fmt: skip


def pairs(names, shape, rng, dtype):
    """Two tensors of normal numbers."""
    return {name: rng.standard_normal(shape) for name in names}


def integer_pairs(names, shape, rng, dtype):
    """Two tensors of small integers."""
    return {name: small(rng, *shape) for name in names}


def power_of_two(rng, dtype, shape):
    """A scalar cotangent that scales exactly."""
    return np.array(4.0)


_MSE = (
    ("mean-001", "certified", {"reduction": "mean"}, partial(pairs, ("y", "targets"), (5, 3)), "mean over all elements",
     "The mean is over rows instead of elements, or the factor 2 of the gradient is missing."),
    ("sum-001", "certified", {"reduction": "sum"}, partial(pairs, ("y", "targets"), (3, 7)), "reduction",
     "With the reduction \"sum\" the mean is taken, in the loss or in its gradient."),
    ("sequence-001", "certified", {"reduction": "mean"}, partial(pairs, ("y", "targets"), (2, 3, 5)),
     "two leading axes", "With three axes the mean is over the wrong number of elements."),
    ("integers-001", "exact", {"reduction": "mean"}, partial(integer_pairs, ("y", "targets"), (2, 4)), "factor of two",
     "Squares of integers over a power of two: whatever differs is a wrong element or factor.", power_of_two),
)  # fmt: skip


def teacher(leading, C, scale, rng, dtype):
    """A student's and a teacher's logits."""
    return {name: scale * rng.standard_normal((*leading, C)) for name in ("z", "teacher_z")}


def far_teacher(rng, dtype):
    """Both are confident, of different classes, beyond 100."""
    tensors = teacher((3,), 5, 1.0, rng, dtype)
    tensors["z"][:, 0] += 110
    tensors["teacher_z"][:, 3] += 105
    return tensors


_KL = (
    ("real-001", "certified", {"temperature": 1.0, "reduction": "mean"}, partial(teacher, (5,), 7, 1.5), "direction",
     "The divergence is that of the teacher from the student, or a cross-entropy."),
    ("temperature-001", "certified", {"temperature": 3.0, "reduction": "mean"}, partial(teacher, (7,), 5, 3.0),
     "factor T^2", "The factor T^2 is missing, or the gradient has 1 / T instead of T."),
    ("sum-001", "certified", {"temperature": 0.5, "reduction": "sum"}, partial(teacher, (2, 3), 5, 1.0), "reduction",
     "With the reduction \"sum\" the mean is taken, or the temperature multiplies the logits."),
    ("sequence-001", "certified", {"temperature": 2.0, "reduction": "mean"}, partial(teacher, (2, 3), 5, 1.0),
     "two leading axes", "With the leading axes (B, T) the mean is over the first of them only."),
    ("far-001", "certified", {"temperature": 2.0, "reduction": "mean"}, far_teacher, "overflow of exp(logits)",
     "Logits beyond 100: a probability underflows and its logarithm is taken."),
)  # fmt: skip

_GELU = "The tanh form is used for the erf form or the reverse, or the derivative lacks its second term."
DESIGNS = (
    *designs("relu", _RELU, NO_PRODUCTS),
    *designs("gelu", _named("erf", _with({"approximate": "none"}, _smooth(_GELU))), NO_PRODUCTS),
    *designs("gelu", _named("tanh", _with({"approximate": "tanh"}, _smooth(_GELU))), NO_PRODUCTS),
    *designs("silu", _with({}, _smooth("The derivative lacks its second term, or the function is GELU.")), NO_PRODUCTS),
    *designs("silu", [_BEYOND], NO_PRODUCTS),
    *designs("softmax_cross_entropy", _CROSS_ENTROPY, NO_PRODUCTS),
    *designs("mean_squared_error", _MSE, NO_PRODUCTS),
    *designs("kl_distillation", _KL, NO_PRODUCTS),
)
