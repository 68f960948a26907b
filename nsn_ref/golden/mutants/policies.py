"""What else a result could be compared by: fixed tolerances that are in wide use, on the same cases."""

import numpy as np

DERIVED = "derived bounds"
_TORCH = {"float64": (1e-7, 1e-7), "float32": (1.3e-6, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float16": (1e-3, 1e-5)}
FIXED = {  # dtype of a tensor to (rtol, atol)
    "torch.testing.assert_close": _TORCH.__getitem__,
    "NumPy 1e-5, 1e-8": lambda dtype: (1e-5, 1e-8),
    "ONNX 1e-3, 1e-7": lambda dtype: (1e-3, 1e-7),
}
ALL = (DERIVED, *FIXED)


def accepts(policy, result):
    """Whether a fixed tolerance lets an answer pass; one of a wrong form never passes.

    Parameters
    ----------
    policy : str
        One of `FIXED`.
    result : CaseResult
    """
    if result.error or result.answer is None:
        return False
    return all(
        _close(result.answer[name], output.expected, *FIXED[policy](output.dtype))
        for name, output in result.case.outputs.items()
        if name in result.answer
    )


def _close(got, expected, rtol, atol):
    got = np.asarray(got, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        inside = np.abs(got - expected) <= atol + rtol * np.abs(expected)
    return bool((inside | (got == expected)).all())  # an infinity may be what is expected
