"""The claims of the ledger (docs/claims.md) that a case bears out: of its operation, and of its bounds."""

from nsn_ref.golden import contracts

_LAYER, _LOSSES, _STEPS = ("LIN-1", "LIN-2"), ("OBJ-1", "OBJ-6", "OBJ-7"), ("FLT-9",)
_OPERATIONS = {
    "nested_linear_forward": _LAYER,
    "nested_linear_backward": ("GRD-1", "GRD-5"),
    "multirank_linear_forward": _LAYER,
    "multirank_linear_backward": ("GRD-2", "GRD-3", "GRD-4", "GRD-5"),
    "objective_forward": _LOSSES,
    "objective_backward": _LOSSES,
    "analytic_weights": ("OBJ-8",),
    "weighted_sum_backward": ("OBJ-8",),
    "relu_forward": _STEPS,
    "silu_forward": _STEPS,
    "softmax_cross_entropy_forward": _STEPS,
    "mlp_forward": _LAYER,
    **dict.fromkeys(
        ("mlp_loss_and_grads", "mlp_step", "convnet_step", "decoder_loss_and_grads"), (*_LAYER, "GRD-6", *_LOSSES)
    ),
}
_EXACT = ("FLT-3",)
_REAL = ("FLT-1", "FLT-5", "FLT-6")
_MIXED = ("FLT-4", "FLT-8", "FLT-10")  # where operands, sums and results have different formats


def claims(op, lane, dtype):
    """Ids, those of the operation first.

    Parameters
    ----------
    op, lane, dtype : str
        Of a case.

    Returns
    -------
    list of str
    """
    contract = contracts.default(dtype)
    mixed = len({contract.storage, contract.operand, contract.accumulator}) > 1
    bounds = _EXACT if lane == "exact" else _REAL + (_MIXED if mixed else ())
    return [*_OPERATIONS.get(op, ()), *bounds]
