"""Defects of the linear algebra, and the tests of LIN, GAU, GRD and SVD that notice each.

Every test of these families is listed at least once: each of them can fail.
"""

import numpy as np
from claims import test_gau as gau
from claims import test_gau_balance as gau_balance
from claims import test_grd as grd
from claims import test_grd_networks as grd_networks
from claims import test_lin as lin
from claims import test_lin_nesting as nesting
from claims import test_lin_scores as scores
from claims import test_svd as svd
from claims import test_svd_inputs as svd_inputs
from claims import wrong_layers as wrong
from claims.planted import Defect

from nsn_ref import kernels, ops
from nsn_ref.analysis import containment
from nsn_ref.surgery import balance, factorise

LAYER = (
    lin.test_weights_are_sums_of_outer_products,
    lin.test_outputs_are_those_of_the_weights,
    lin.test_prefix_consistency,
    nesting.test_definition_2_is_false,
    nesting.test_definition_2_is_false_at_every_size,
)
SEVERAL_RANKS = (lin.test_prefix_consistency_between_any_two_ranks,)
ONE_PASS = (
    grd.test_gradients_are_suffix_sums,
    grd.test_one_pass_is_the_sum_of_passes,
    grd.test_gradient_of_any_loss_at_each_rank,
)
AT_ONE_RANK = (grd.test_gradients_at_one_rank, grd.test_gradients_are_joint)
FACTORS = (
    svd.test_every_prefix_is_nearest,
    svd.test_residual_is_the_tail,
    svd.test_every_prefix_is_nearest_in_the_spectral_norm,
    svd.test_the_decomposition_exists,
)

ENGINES = {"reference": ops, "kernel": kernels}
NESTED, NESTED_BACK = "nested_linear_forward", "nested_linear_backward"
MULTI, MULTI_BACK = "multirank_linear_forward", "multirank_linear_backward"

LIN = (
    Defect(
        "a component too many",
        ops,
        NESTED,
        wrong.one_more,
        (
            *LAYER,
            lin.test_rank_is_at_most_r,
            lin.test_factors_nest,
            lin.test_classes_are_the_matrices_of_low_rank,
            nesting.test_when_images_nest_whatever_the_factors_are,
            nesting.test_when_images_nest_under_full_column_rank,
            nesting.test_images_nest_under_full_row_rank,
            nesting.test_row_spaces_nest_under_full_column_rank,
        ),
    ),
    Defect("a component too many, kernel", kernels, NESTED, wrong.one_more, (*LAYER, lin.test_rank_is_at_most_r)),
    Defect(
        "a component too few", ops, NESTED, wrong.one_less, (*LAYER, lin.test_classes_nest_strictly_below_full_rank)
    ),
    Defect("last components first", ops, NESTED, wrong.from_the_end, (*LAYER, lin.test_factors_nest)),
    Defect("last components first, kernel", kernels, NESTED, wrong.from_the_end, (*LAYER, lin.test_factors_nest)),
    Defect("always at rank R", ops, NESTED, wrong.at_full_rank, (*LAYER, lin.test_rank_is_at_most_r)),
    Defect(
        "capped at the widths", ops, NESTED, wrong.capped, (nesting.test_definition_2_is_false_beyond_the_input_width,)
    ),
    Defect("newest component only", ops, NESTED, wrong.newest_only, (nesting.test_the_condition_suffices_for_any_b,)),
    Defect(
        "alternating signs", ops, NESTED, wrong.alternating, (nesting.test_the_condition_is_not_necessary_for_every_b,)
    ),
    Defect("sorted outputs", ops, MULTI, wrong.sorted_outputs, SEVERAL_RANKS),
    Defect("sorted outputs, kernel", kernels, MULTI, wrong.sorted_outputs, SEVERAL_RANKS),
    Defect(
        "projectors swapped",
        containment,
        "containment",
        lambda score: lambda A, B, small, large: score(A, B, large, small),
        (scores.test_the_projector_form, scores.test_the_papers_score_of_a_contained_image_depends_on_its_coordinates),
    ),
    Defect(
        "image of B instead of W",
        containment,
        "_image",
        lambda image: lambda A, B, rank: np.linalg.qr(B[:, :rank])[0],
        (scores.test_the_projector_form, scores.test_the_papers_score_misleads),
    ),
    Defect(
        "score divided by the larger rank",
        containment,
        "singular_vector_score",
        lambda score: lambda A, B, small, large: score(A, B, small, large) * small / large,
        (scores.test_the_papers_score_of_a_contained_image_of_full_rank, scores.test_the_papers_score_misleads),
    ),
)

GAU = (
    Defect(
        "a_i shifted",
        ops,
        NESTED,
        wrong.shifted,
        (
            gau.test_scaling_changes_no_weight,
            gau.test_block_diagonal_transformations_serve_any_layer,
            gau.test_weights_determine_the_factors,
            gau.test_weights_do_not_determine_a_zero_component,
            gau_balance.test_powers_of_two_change_no_bit,
            gau_balance.test_balancing_by_powers_of_two_changes_no_bit,
            gau_balance.test_any_gauge_changes_outputs_by_rounding_only,
        ),
    ),
    Defect("signs of a_i lost, kernel", kernels, NESTED, wrong.unsigned, (gau.test_scaling_changes_no_weight,)),
    Defect(
        "always at rank R",
        ops,
        NESTED,
        wrong.at_full_rank,
        (
            gau.test_nothing_else_does,
            gau.test_a_transformation_that_serves_every_layer_is_diagonal,
            gau.test_only_some_ranks,
        ),
    ),
    Defect(
        "not balanced",
        balance,
        "balance",
        lambda balanced: lambda A, B: (A, B),
        (gau_balance.test_balanced_factors_exist, gau_balance.test_balanced_factors_are_unique),
    ),
    Defect(
        "only A rescaled",
        balance,
        "balance",
        lambda balanced: lambda A, B: (balanced(A, B)[0], B),
        (
            gau_balance.test_balanced_factors_exist,
            gau_balance.test_balancing_by_powers_of_two_changes_no_bit,
            gau_balance.test_any_gauge_changes_outputs_by_rounding_only,
        ),
    ),
    Defect(
        "signs lost in balancing",
        balance,
        "balance",
        lambda balanced: lambda A, B: tuple(map(abs, balanced(A, B))),
        (gau_balance.test_balanced_factors_exist, gau_balance.test_balanced_factors_are_unique),
    ),
    Defect(
        "dead components set to zero",
        balance,
        "balance",
        wrong.dead_set_to_zero,
        (gau_balance.test_balanced_factors_exist,),
    ),
)

GRD = (
    *(
        defect
        for engine, module in ENGINES.items()
        for defect in (
            Defect(
                f"unused components learn, {engine}",
                module,
                NESTED_BACK,
                wrong.every_component_learns,
                (
                    grd.test_gradients_at_one_rank,
                    grd.test_unused_components_have_no_gradient,
                    grd.test_gradients_are_joint,
                ),
            ),
            Defect(
                f"mean in db, {engine}",
                module,
                NESTED_BACK,
                wrong.mean_bias,
                (*AT_ONE_RANK, grd.test_one_pass_is_the_sum_of_passes),
            ),
            Defect(f"only the largest rank, {engine}", module, MULTI_BACK, wrong.anchor_only, ONE_PASS),
            Defect(f"mean over the ranks, {engine}", module, MULTI_BACK, wrong.averaged, ONE_PASS),
            Defect(f"no suffix sums, {engine}", module, MULTI_BACK, wrong.no_suffix, ONE_PASS),
        )
    ),
    Defect("only the largest rank", ops, MULTI_BACK, wrong.anchor_only, (grd.test_gradient_of_a_transcendental_loss,)),
    Defect(
        "a network skips the ReLU on its way back",
        ops,
        "relu_backward",
        lambda right: lambda dy, saved: dy,
        (grd_networks.test_backward_passes_compose,),
    ),
)

SVD = (
    Defect(
        "a component too many",
        ops,
        NESTED,
        wrong.one_more,
        (svd.test_residual_is_best_within_the_rows, svd_inputs.test_whitened_factors_are_best_for_the_inputs),
    ),
    Defect("smallest first", factorise, "factorise_svd", wrong.reversed_components, FACTORS),
    Defect("singular values in B", factorise, "factorise_svd", wrong.all_in_b, (svd.test_the_decomposition_exists,)),
    Defect(
        "inputs ignored",
        factorise,
        "factorise_whitened",
        lambda factorised: lambda W, gram: factorise.factorise_svd(W),
        (svd_inputs.test_factorise_whitened_finds_them,),
    ),
    Defect(
        "Gram matrix taken for its root",
        factorise,
        "factorise_whitened",
        lambda factorised: lambda W, gram: factorised(W, gram @ gram),
        (svd_inputs.test_factorise_whitened_finds_them,),
    ),
    Defect(
        "correlations ignored",
        factorise,
        "factorise_whitened",
        lambda factorised: lambda W, gram: factorised(W, np.diag(np.diag(gram))),
        (svd_inputs.test_factorise_whitened_finds_them,),
    ),
    Defect(
        "sorted outputs",
        ops,
        MULTI,
        wrong.sorted_outputs,
        (svd_inputs.test_the_loss_at_all_ranks_is_least_where_each_is,),
    ),
    Defect(
        "trained at R only",
        kernels,
        MULTI_BACK,
        wrong.anchor_only,
        (svd_inputs.test_training_recovers_the_truncated_svd,),
    ),
    Defect(
        "bias in x",
        ops,
        NESTED,
        lambda forward: lambda x, A, B, b, rank: forward(x + 1, A, B, b, rank),
        (svd_inputs.test_output_error_depends_on_the_gram_matrix_only,),
    ),
)

TABLES = {"LIN": LIN, "GAU": GAU, "GRD": GRD, "SVD": SVD}
MODULES = (lin, nesting, scores, gau, gau_balance, grd, grd_networks, svd, svd_inputs)
