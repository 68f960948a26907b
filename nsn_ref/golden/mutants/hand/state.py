# ruff: noqa: E501 (a table, and texts that must match)
"""Mistakes that only a second call shows: caches, stale gradients, inputs written into."""

from nsn_ref.golden.mutants.hand.planting import family

_H = "    h = store(matmul(x, A[:r].T))\n"
_DA = "    dA[:r] = matmul(dh.T, x)\n"
_P = "    return m, v, p - lr * decay * p - step\n"
_RUNS = '    runs = [net_forward(P, t["x"], r, attrs, convolutional) for r in ranks]\n'

MISTAKES = family(
    "state",
    ("weights-cached-by-shape", "Factors are cached by shape and rank, and not reloaded.",
     _H, "    A, B = CACHE.setdefault((A.shape, B.shape, r), (A.copy(), B.copy()))\n" + _H),
    ("first-factor-cached", "The first factor is cached by shape.", _H, "    A = CACHE.setdefault((\"A\", A.shape), A.copy())\n" + _H),
    ("bias-cached", "The bias is cached by shape.", _H, "    b = CACHE.setdefault((\"b\", b.shape), b.copy())\n" + _H),
    ("rank-kept", "A rank that is smaller than the one before with the same factors is ignored.",
     _H, "    r = CACHE[\"r\", A.shape] = max(r, CACHE.get((\"r\", A.shape), 0))\n" + _H),
    ("rank-of-the-call-before", "The layer runs at the rank of the call before.",
     _H, "    r, CACHE[\"before\", A.shape] = CACHE.get((\"before\", A.shape), r), r\n" + _H),
    ("gradients-accumulate", "Gradients of A add up over calls.",
     _DA, _DA + "    dA = CACHE[\"dA\", A.shape] = dA + CACHE.get((\"dA\", A.shape), 0)\n"),
    ("stale-rows", "Unused rows of A keep the gradient of an earlier call.",
     _DA, _DA + "    dA[r:] = CACHE.get((\"dA\", A.shape), dA)[r:]\n    CACHE[\"dA\", A.shape] = dA\n"),
    ("stale-columns", "Unused columns of B keep the gradient of an earlier call.",
     "    dB[:, :r] = matmul(dy.T, h)\n    return store(", "    dB[:, :r] = matmul(dy.T, h)\n    dB[:, r:] = CACHE.get((\"dB\", B.shape), dB)[:, r:]\n    CACHE[\"dB\", B.shape] = dB\n    return store("),
    ("buffer-reused", "All results of one shape share a buffer.",
     "    return store(matmul(h, B[:, :r].T) + b), h\n", "    y = CACHE.setdefault((\"y\", len(h), len(b)), np.zeros((len(h), len(b)), WORK))\n    y[...] = store(matmul(h, B[:, :r].T) + b)\n    return y, h\n"),
    ("bottleneck-of-the-anchor", "A later rank of a step reuses the bottleneck of the first, cut to its size.",
     _H, "    h = CACHE.get((\"h\", id(x)))\n    h = store(matmul(x, A[:r].T)) if h is None or h.shape[1] < r else h[:, :r] * WORK(1 + 2.0**-12)\n    CACHE[\"h\", id(x)] = h\n"),
    ("moments-kept", "The first moment of an earlier call with the same shape is used.",
     '    m = beta1 * m + WORK(1 - attrs["beta1"]) * g\n', '    m = CACHE.get(("m", p.shape), m)\n    m = beta1 * m + WORK(1 - attrs["beta1"]) * g\n', _P, '    CACHE["m", p.shape] = m\n' + _P),
    ("step-counted", "The step number is counted by the port.",
     '    t, decay = attrs["t"], WORK(decay)\n', '    CACHE["t"] = CACHE.get("t", 0) + 1\n    t, decay = CACHE["t"], WORK(decay)\n'),
    ("mask-of-the-rank-before", "The derivative of the activation is that of the rank before.",
     'dz[i] = store(dx * kept["slope"][i])', 'slope, CACHE["slope", i] = CACHE.get(("slope", i), kept["slope"][i]), kept["slope"][i]\n        dz[i] = store(dx * (slope if slope.shape == dx.shape else kept["slope"][i]))'),
    ("activation-in-place", "The activation overwrites its input, whose derivative is then taken.",
     "        a, slope = act(z)\n", "        a, slope = act(z)\n        slope = act(a)[1]\n"),
    ("first-batch-kept", "A step runs on the first batch of its shape that it saw.",
     _RUNS, '    t = t | {"x": CACHE.setdefault(("x", t["x"].shape), t["x"].copy())}\n' + _RUNS),
    ("first-labels-kept", "A step uses the first labels of its size that it saw.",
     _RUNS, '    t = t | {"targets": CACHE.setdefault(("t", t["targets"].shape), t["targets"].copy())}\n' + _RUNS),
    ("s-kept", "The objective keeps the first log-variances of its size that it saw.",
     "    s, variant = t[\"s\"][np.array(attrs[\"ranks\"]) - 1], attrs[\"variant\"]\n", "    s, variant = CACHE.setdefault((\"s\", len(t[\"s\"])), t[\"s\"].copy())[np.array(attrs[\"ranks\"]) - 1], attrs[\"variant\"]\n"),
    ("first-losses-kept", "The training rate is relative to the first losses that the port saw.",
     '    rate = t["losses"] / t["first_losses"]\n', '    rate = t["losses"] / CACHE.setdefault(len(t["losses"]), t["first_losses"].copy())\n'),
)  # fmt: skip
