"""Defects of the engines, the emulated arithmetic and the bounds, and the tests of FLT that notice each."""

from fractions import Fraction

import numpy as np
from claims import test_flt, test_flt_aligned, test_flt_exact, test_flt_mixed, test_flt_running, trees
from claims.balls import balls
from claims.planted import Defect

from nsn_ref import kernels, ops
from nsn_ref.certify import exactness, rounding
from nsn_ref.golden.fuzz.machine import Machine


def in_half_precision(right):
    """An operation that rounds its result to float16."""

    def forward(*args, **options):
        y, saved = right(*args, **options)
        return y.astype(np.float16).astype(y.dtype) if y.dtype != object else y, saved

    return forward


def summed_in_half_precision(right):
    """A product of matrices whose partial sums are rounded to float16."""

    def forward(x, W, b):
        y = np.zeros((len(x), len(W)), np.float16)
        for k in range(x.shape[1]):
            y = (y + np.outer(x[:, k], W[:, k])).astype(np.float16)
        return y.astype(x.dtype) + b, right(x, W, b)[1]

    return forward


def one_bit_up(right):
    """A layer whose floats are one unit in the last place too large."""

    def forward(*args):
        y, saved = right(*args)
        return y if y.dtype == object else np.nextafter(y, np.inf), saved

    return forward


def one_by_one(right):
    """Several ranks, each summed from its first component and the bias added last."""

    def forward(x, A, B, b, ranks):
        _, saved = right(x, A, B, b, ranks)
        return np.stack([saved.h[..., :r] @ B[:, :r].T + b for r in ranks]), saved

    return forward


def charges_nothing(right):
    """No rounding is charged."""
    return lambda v, e, *args, **options: rounding.Rounded(v, e)


def always_one(right):
    """A ReLU whose derivative is 1 everywhere."""
    return lambda dy, saved: dy


EMULATED = [
    test_flt.test_dot_product_in_any_order,
    test_flt.test_two_orders,
    test_flt.test_nested_layer_in_any_order,
    test_flt.test_nested_layer_with_underflow,
    test_flt.test_the_model_is_ieee_arithmetic,
    test_flt.test_prefix_consistency_to_the_bit,
    test_flt_exact.test_every_order_is_exact,
    test_flt_mixed.test_mixed_precision,
    test_flt_mixed.test_exact_products_cost_nothing,
    test_flt_mixed.test_bound_of_a_product_of_matrices,
    test_flt_running.test_products_and_quotients,
    test_flt_running.test_dot_products_by_the_reference,
]


def in_both_engines(mistake, function, wrong, *noticed_by):
    """The same mistake in the reference and in its fast twin."""
    return [Defect(f"{module.__name__}: {mistake}", module, function, wrong, noticed_by) for module in (ops, kernels)]


MODULES = (
    test_flt,
    test_flt_aligned,
    test_flt_exact,
    test_flt_mixed,
    test_flt_running,
)
TABLES = {
    "FLT": [
        Defect(
            "the arithmetic loses seven bits",
            trees,
            "quantum",
            lambda right: lambda x, f: right(x, f) * 128,
            tuple(EMULATED),
        ),
        Defect(
            "every result is doubled",
            test_flt,
            "rounding_to",
            lambda right: lambda f: lambda x: 2 * right(f)(x),
            (test_flt.test_magnitude,),
        ),
        *in_both_engines(
            "the dot product is rounded to float16",
            "dense_forward",
            in_half_precision,
            test_flt.test_dot_product_of_the_engines,
        ),
        *in_both_engines(
            "the dot product is summed in float16",
            "dense_forward",
            summed_in_half_precision,
            test_flt_mixed.test_mixed_precision_of_the_engines,
        ),
        *in_both_engines(
            "the layer is rounded to float16",
            "nested_linear_forward",
            in_half_precision,
            test_flt.test_nested_layer_of_the_engines,
        ),
        *in_both_engines(
            "one pass is rounded to float16",
            "multirank_linear_forward",
            in_half_precision,
            test_flt.test_nested_layer_of_the_engines,
        ),
        *in_both_engines(
            "the ranks run one by one",
            "multirank_linear_forward",
            one_by_one,
            test_flt.test_prefix_consistency_to_the_bit,
        ),
        *in_both_engines(
            "an exact layer is off by one bit",
            "nested_linear_forward",
            one_bit_up,
            test_flt_exact.test_layers_whose_numbers_pass_are_exact_in_every_engine,
        ),
        Defect(
            "aligned blocks lose six bits",
            test_flt_aligned,
            "unit_of",
            lambda right: lambda x, bits: 64 * right(x, bits),
            (test_flt_aligned.test_aligned_blocks, test_flt_aligned.test_the_code_charges_for_aligned_blocks),
        ),
        Defect(
            "float32 numbers allow the sums of float64",
            exactness,
            "exact",
            lambda right: lambda array, dtype: right(array, "float64"),
            (test_flt_exact.test_the_condition_is_what_the_numbers_check,),
        ),
        Defect(
            "a machine of the fuzz is off by one bit",
            Machine,
            "matmul",
            lambda right: lambda self, *args: np.nextafter(right(self, *args), np.inf),
            (test_flt_exact.test_every_machine_of_the_fuzz_is_exact,),
        ),
        Defect(
            "sums cost nothing",
            rounding.Rounded,
            "error",
            lambda right: property(lambda self: self._e),
            (test_flt_running.test_open_sums, test_flt_running.test_dot_products_by_the_reference),
        ),
        Defect(
            "products and roots cost nothing",
            rounding,
            "_round",
            charges_nothing,
            (test_flt_running.test_products_and_quotients, test_flt_running.test_functions),
        ),
        Defect(
            "elementary functions cost nothing",
            rounding,
            "_function",
            charges_nothing,
            (test_flt_running.test_functions,),
        ),
        Defect(
            "storing costs nothing",
            rounding,
            "_storing",
            lambda right: lambda v, e, f: e,
            (test_flt_mixed.test_bound_of_a_product_of_matrices,),
        ),
        Defect("the derivative of ReLU is 1", ops, "relu_backward", always_one, (test_flt_running.test_relu,)),
        Defect(
            "SiLU is scaled by 1.1",
            ops,
            "silu_forward",
            lambda right: lambda z: (right(z)[0] * balls([Fraction(11, 10)]), None),
            (test_flt_running.test_silu,),
        ),
        Defect(
            "cross-entropy of the negated logits",
            ops,
            "softmax_cross_entropy_forward",
            lambda right: lambda z, labels: right(-z, labels),
            (test_flt_running.test_softmax_and_cross_entropy,),
        ),
    ]
}
