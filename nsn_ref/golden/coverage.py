"""The table of operations by lane, for golden/README.md: how many cases, or why there are none."""

from collections import Counter

from nsn_ref.golden import schema
from nsn_ref.golden.cases import CASES, DTYPES

LANES = ("exact", "certified", "sequence")
RATIONAL = (  # stems whose results can be exact
    "dense", "nested_linear", "multirank_linear", "conv2d", "nested_conv2d", "average_pool2d", "nested_embedding",
    "embedding", "rotary", "relu", "mean_squared_error", "weighted_sum", "gradnorm_forward", "gradnorm_backward",
    "hard_orthogonality", "residual_orthogonality", "logits_regularisation", "hidden_regularisation", "sgd", "mlp",
)  # fmt: skip


_ACTIVATIONS = (  # operations whose inputs hold no weight
    "average_pool2d", "rotary", "causal_attention", "relu", "gelu", "silu", "swiglu", "geglu", "softmax_cross_entropy",
    "mean_squared_error", "kl", "logits", "hidden",
)  # fmt: skip


def table():
    """Operations by lane (cases in all formats), and by format (cases in all lanes)."""
    lanes, formats = Counter(), Counter()
    for case in CASES:
        lanes[case.design.op, case.design.lane] += 1
        formats[case.design.op, case.dtype] += 1
    head = ["op", *LANES, *DTYPES]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for op in schema.OPERATIONS:
        cells = [str(lanes[op, lane] or _why_no(op, lane)) for lane in LANES]
        cells += [str(formats[op, dtype] or _why_not_in(op, dtype)) for dtype in DTYPES]
        lines.append(f"| `{op}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _why_no(op, lane):
    if lane == "sequence":
        return "one call: nothing is kept"
    if not op.startswith(RATIONAL):
        return "irrational or a quotient"
    return "takes a softmax"  # a loss or a step of an mlp


def _why_not_in(op, dtype):
    if op.startswith("decoder"):
        return "too long a chain for a bound"
    if dtype == "tf32":
        return "no product: as float32"
    return "no weights: as bfloat16" if op.startswith(_ACTIVATIONS) else "weights only: as float32"
