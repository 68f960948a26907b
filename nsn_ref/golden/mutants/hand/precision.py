# ruff: noqa: E501 (a table, and texts that must match)
"""Mistakes of precision: operands, accumulators, intermediates, constants and states in too short a format."""

from nsn_ref.golden.mutants.hand.planting import EVERY, WIDE, family

_MM = "    return operand(a) @ operand(b)\n"
_SUM = "    return x.sum(axis=axis)\n"
_H = "    h = store(matmul(x, A[:r].T))\n"
_STEP = "    step = lr * m_hat / (np.sqrt(v_hat) + eps)\n"
_NARROW = ("bfloat16", "float16", "bfloat16_master")
_LOOP = """    a, b = operand(a), operand(b)
    out = np.zeros((*a.shape[:-1], b.shape[-1]), WORK)
    for k in range(a.shape[-1]):
        out = rounded(out + a[..., k : k + 1] * b[k], "{0}")
    return out
"""


def _operands(name):
    return _MM, f'    return rounded(a, "{name}") @ rounded(b, "{name}")\n'


MISTAKES = (
    *family(
        "precision",
        ("tf32-operands", "Products are taken in TF32.", *_operands("tf32")),
        ("tf32-truncated", "Operands are cut to TF32.",
         _MM, "    def cut(x):\n        return (np.ascontiguousarray(x, np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32).astype(WORK)\n\n    return cut(a) @ cut(b)\n"),
        ("bf16x3-operands", "Operands are split into two bfloat16 numbers.",
         _MM, '    def two(x):\n        high = rounded(x, "bfloat16")\n        return high + rounded(x - high, "bfloat16")\n\n    return two(a) @ two(b)\n'),
        ("tf32-wide-sums-only", "Products with more than 6 terms are taken in TF32.",
         _MM, '    if a.shape[-1] > 6:\n        a, b = rounded(a, "tf32"), rounded(b, "tf32")\n    return a @ b\n'),
        ("h-in-bf16", "The bottleneck is stored in bfloat16.", _H, _H + '    h = rounded(h, "bfloat16")\n'),
        ("h-in-f16", "The bottleneck is stored in float16.", _H, _H + '    h = rounded(h, "float16")\n'),
        ("tf32-dA", "The gradient of A is taken in TF32.",
         "    dA[:r] = matmul(dh.T, x)\n", '    dA[:r] = matmul(rounded(dh, "tf32").T, rounded(x, "tf32"))\n'),
        ("dy-in-f16", "Cotangents are stored in float16.", "    r = h.shape[1]\n", '    r = h.shape[1]\n    dy = rounded(dy, "float16")\n'),
        ("exp-in-bf16", "The softmax is stored in bfloat16.",
         "    return e / total_of(e, axis=-1)[..., None]\n", '    return rounded(e / total_of(e, axis=-1)[..., None], "bfloat16")\n'),
        ("loss-in-f16", "Logits are rounded to float16 before the loss.",
         "    z = z - z.max(axis=-1, keepdims=True)\n", '    z = rounded(z, "float16")\n    z = z - z.max(axis=-1, keepdims=True)\n'),
        ("s-in-bf16", "Log-variances are kept in bfloat16.",
         '    return np.exp(-s) / 2 if variant == "bounded" else np.exp(-s)\n', '    s = rounded(s, "bfloat16")\n    return np.exp(-s) / 2 if variant == "bounded" else np.exp(-s)\n'),
        ("p-in-bf16", "Parameters are kept in bfloat16.",
         "    return m, v, p - lr * decay * p - step\n", '    return m, v, rounded(p - lr * decay * p - step, "bfloat16")\n'),
        ("m-in-f16", "The first moment is kept in float16.",
         "    return m, v, p - lr * decay * p - step\n", '    return rounded(m, "float16"), v, p - lr * decay * p - step\n'),
        ("norm-in-bf16", "The scale of a norm is kept in bfloat16.",
         "    scale = 1 / np.sqrt(variance + WORK(eps))\n", '    scale = rounded(1 / np.sqrt(variance + WORK(eps)), "bfloat16")\n'),
        ("conv-in-tf32", "Patches are rounded to TF32.",
         "    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, H, W, c * k_h * k_w)\n", '    return rounded(windows.transpose(0, 2, 3, 1, 4, 5).reshape(n, H, W, c * k_h * k_w), "tf32")\n'),
        ("embedding-in-bf16", "The embedding is kept in bfloat16.",
         '    h = t["E"][t["tokens"]][..., : attrs["rank"]]\n', '    h = rounded(t["E"], "bfloat16")[t["tokens"]][..., : attrs["rank"]]\n'),
        ("tanh-fast", "tanh is accurate to 11 bits.", "    s, rest = logistic(2 * w), logistic(-2 * w)\n",
         "    s, rest = logistic(2 * w) * (1 + WORK(2.0**-11) * np.sin(1000 * w)), logistic(-2 * w)\n"),
        formats=WIDE,
    ),
    *family(
        "precision",
        ("f32-products", "Products are taken in float32.", _MM, "    return (a.astype(np.float32) @ b.astype(np.float32)).astype(WORK)\n"),
        ("f32-dA", "The gradient of A is taken in float32.",
         "    dA[:r] = matmul(dh.T, x)\n", "    dA[:r] = matmul(dh.T.astype(np.float32), x.astype(np.float32))\n"),
        ("f32-h", "The bottleneck is stored in float32.", _H, _H + "    h = h.astype(np.float32).astype(WORK)\n"),
        ("f32-sums", "Sums over rows and classes are taken in float32.", _SUM, "    return x.astype(np.float32).sum(axis=axis).astype(WORK)\n"),
        ("f32-constants", "The constants of GELU are those of float32.",
         "    c, cubic = WORK(math.sqrt(2 / math.pi)), WORK(0.044715)\n", "    c, cubic = WORK(np.float32(math.sqrt(2 / math.pi))), WORK(np.float32(0.044715))\n"),
        ("f32-root-half", "The root of one half in GELU is that of float32.",
         "    Phi = erfc(-z * WORK(math.sqrt(0.5))) / 2\n", "    Phi = erfc(-z * WORK(np.float32(math.sqrt(0.5)))) / 2\n"),
        ("f32-optimiser", "The optimiser's step is taken in float32.", _STEP, _STEP.replace("lr * m_hat", "(lr * m_hat).astype(np.float32)")),
        ("f32-betas", "The betas are those of float32.",
         "    lr, beta1, beta2, eps = (WORK(attrs[name])", "    attrs = attrs | {name: float(np.float32(attrs[name])) for name in (\"beta1\", \"beta2\")}\n    lr, beta1, beta2, eps = (WORK(attrs[name])"),
        ("f32-exp", "The exponentials of the objective are those of float32.",
         '    return np.exp(-s) / 2 if variant == "bounded" else np.exp(-s)\n', '    s = s.astype(np.float32)\n    return np.exp(-s) / 2 if variant == "bounded" else np.exp(-s)\n'),
        ("f32-softmax", "The softmax is that of float32.", "    e = np.exp(z - z.max(axis=-1, keepdims=True))\n", "    e = np.exp((z - z.max(axis=-1, keepdims=True)).astype(np.float32))\n"),
        ("gelu-cancels", "Phi is (1 + erf) / 2, from an erf of float32.",
         "    Phi = erfc(-z * WORK(math.sqrt(0.5))) / 2\n", "    Phi = (1 + np.vectorize(math.erf)(z * WORK(math.sqrt(0.5))).astype(np.float32)).astype(z.dtype) / 2\n"),
        ("erf-five-terms", "erf is the five-term approximation of Abramowitz and Stegun.",
         "    return np.vectorize(math.erfc, otypes=[np.float64])(z).astype(z.dtype)\n",
         "    u = 1 / (1 + 0.3275911 * np.abs(z))\n    poly = ((((1.061405429 * u - 1.453152027) * u + 1.421413741) * u - 0.284496736) * u + 0.254829592) * u\n    tail = poly * np.exp(-z * z)\n    return np.where(z > 0, tail, 2 - tail).astype(z.dtype)\n"),
        formats=("float64",),
    ),
    *family(
        "precision",
        ("bf16-operands", "Operands are rounded to bfloat16.", *_operands("bfloat16")),
        ("bf16-accumulator", "Sums of products are kept in bfloat16.", _MM, _LOOP.format("bfloat16")),
        ("f16-accumulator", "Sums of products are kept in float16.", _MM, _LOOP.format("float16")),
        ("bf16-sums", "Sums over rows and classes are kept in bfloat16.",
         _SUM, '    x = np.moveaxis(x.reshape(-1) if axis is None else x, -1 if axis is None else axis, 0)\n    out = np.zeros_like(x[0])\n    for term in x:\n        out = rounded(out + term, "bfloat16")\n    return out\n'),
        formats=("float64", "float32", "tf32"),
    ),
    *family(
        "precision",
        ("short-accumulator", "Sums of products are kept in the storage format.", _MM, _LOOP.replace('"{0}"', "STORAGE")),
        ("short-batch-sums", "Sums over rows and classes are kept in the storage format.",
         _SUM, "    x = np.moveaxis(x.reshape(-1) if axis is None else x, -1 if axis is None else axis, 0)\n    out = np.zeros_like(x[0])\n    for term in x:\n        out = rounded(out + term, STORAGE)\n    return out\n"),
        ("h-cut", "The bottleneck is cut to the storage format instead of rounded.",
         _H, '    bits = np.uint32(0xFFFF0000 if STORAGE == "bfloat16" else 0xFFFFE000)\n    h = (np.ascontiguousarray(matmul(x, A[:r].T)).view(np.uint32) & bits).view(WORK)\n'),
        ("fp8-operands", "Operands are rounded to 8 bits.",
         _MM, "    return a.astype(ml_dtypes.float8_e4m3fn).astype(WORK) @ b.astype(ml_dtypes.float8_e4m3fn).astype(WORK)\n"),
        ("short-optimiser", "The optimiser's step is taken in the storage format.",
         '    m_hat = m / WORK(1 - attrs["beta1"] ** t)\n', '    m, v = store(m), store(v)\n    m_hat = store(m / WORK(1 - attrs["beta1"] ** t))\n', _STEP, "    step = store(lr * m_hat / store(np.sqrt(store(v_hat)) + eps))\n"),
        ("short-variance", "The variance of a norm is kept in the storage format.",
         "    centred = x - total_of(x, axis=-1)[..., None] / WORK(x.shape[-1])\n", "    centred = store(x - store(total_of(x, axis=-1)[..., None] / WORK(x.shape[-1])))\n"),
        formats=_NARROW,
    ),
    *family(
        "precision",
        ("one-percent", "Every product is one percent too large.", _MM, "    return operand(a) @ operand(b) * WORK(1.01)\n"),
        formats=EVERY,
    ),
)  # fmt: skip
