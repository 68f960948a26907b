"""Defects of the objective and the weights, and the tests of OBJ that notice each."""

import numpy as np
from claims import test_obj, test_obj_envelope, test_obj_variants
from claims.planted import Defect
from claims.test_obj_envelope import test_analytic_weight_is_the_objectives as same_weight
from claims.test_obj_envelope import test_analytic_weights_give_the_envelope_gradient as analytic
from claims.test_obj_envelope import test_analytic_weights_on_the_engine as analytic_engine

from nsn_ref import kernels, ops


def total_becomes(change):
    """A defect of the forward pass: the total as a function of (total, losses, s at the ranks)."""

    def wrong(right):
        def forward(losses, s, ranks, **options):
            total, saved = right(losses, s, ranks, **options)
            return change(total, losses, s[np.array(ranks) - 1]), saved

        return forward

    return wrong


def variant_becomes(old, new):
    """A defect of the forward pass: one variant is taken for another."""

    def wrong(right):
        def forward(losses, s, ranks, *, variant="uncertainty"):
            return right(losses, s, ranks, variant=new if variant == old else variant)

        return forward

    return wrong


def gradients_become(change):
    """A defect of a backward pass: its two gradients as a function of them and of what was saved."""
    return lambda right: lambda dtotal, saved: change(*right(dtotal, saved), saved)


def forward(mistake, wrong, *noticed_by):
    return Defect(mistake, ops, "objective_forward", wrong, noticed_by)


def backward(mistake, wrong, *noticed_by):
    return Defect(mistake, ops, "objective_backward", wrong, noticed_by)


MODULES = (
    test_obj,
    test_obj_envelope,
    test_obj_variants,
)
TABLES = {
    "OBJ": [
        forward(
            "the penalty is forgotten",
            total_becomes(lambda total, losses, s: total - s.sum()),
            test_obj.test_minimiser_and_value,
            test_obj_envelope.test_the_product_of_the_losses_is_minimised,
        ),
        forward(
            "the weight does not depend on s",
            total_becomes(lambda total, losses, s: losses.sum() + s.sum()),
            test_obj.test_minimiser_and_value,
            test_obj.test_convex_in_each_s,
            test_obj.test_not_jointly_convex,
            test_obj.test_smallest_witness_against_joint_convexity,
        ),
        forward(
            "a total below 0 is cut off",
            total_becomes(lambda total, losses, s: total if total > 0 else total * 0),
            test_obj_variants.test_unbounded_below,
            test_obj_variants.test_classification_is_unbounded_below,
        ),
        forward(
            "the classification variant is the paper's",
            variant_becomes("classification", "uncertainty"),
            test_obj_variants.test_classification_minimiser,
            test_obj_variants.test_any_pair_of_coefficients,
        ),
        forward(
            "the bounded variant is the paper's",
            variant_becomes("bounded", "uncertainty"),
            test_obj_variants.test_liebel_minimiser,
            test_obj_variants.test_liebel_is_never_negative,
            test_obj_variants.test_liebel_is_never_negative_in_floats,
        ),
        backward(
            "harder ranks weigh more",
            gradients_become(lambda dlosses, ds, saved: (dlosses * saved.losses**2, ds)),
            test_obj.test_weight_at_the_minimum_is_one_over_the_loss,
            test_obj.test_harder_ranks_do_not_weigh_more,
            test_obj_envelope.test_envelope_gradient,
            test_obj_variants.test_liebel_weight_falls,
            same_weight,
        ),
        backward(
            "ds has the wrong sign",
            gradients_become(lambda dlosses, ds, saved: (dlosses, -ds)),
            test_obj.test_only_critical_point,
        ),
        Defect(
            "weights are normalised",
            ops,
            "analytic_weights",
            lambda right: lambda *args: right(*args) / right(*args).sum(),
            (analytic, analytic_engine, same_weight),
        ),
        Defect(
            "the weights are not held constant",
            ops,
            "weighted_sum_backward",
            gradients_become(lambda dlosses, dweights, saved: (dlosses * 0, dweights)),
            (analytic,),
        ),
        Defect(
            "the engine forgets the cotangent",
            kernels,
            "weighted_sum_backward",
            lambda right: lambda dtotal, saved: right(1.0, saved),
            (analytic_engine,),
        ),
    ]
}
