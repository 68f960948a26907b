"""Linear layers: y[j] = b[j] + sum over i < r of B[j][i] (A[i] . x); and the embedding, which is one."""

from golden_formulas.lists import add, dot, flat, like, total


def layer(x, A, B, b, r):
    h = [[dot(A[i], row) for i in range(r)] for row in x]
    return [[b[j] + dot(B[j][:r], hs) for j in range(len(b))] for hs in h]


def layer_grads(x, A, B, r, dy):
    """dx[k] = sum_j sum_i dy[j] B[j][i] A[i][k], and so on; zero for components from r on."""
    n, d_in, d_out, R, zero = len(x), len(x[0]), len(B), len(A), 0 * x[0][0]
    dh = [[dot(row, [B[j][i] for j in range(d_out)]) for i in range(r)] for row in dy]
    h = [[dot(A[i], row) for i in range(r)] for row in x]
    dx = [[dot(dhs, [A[i][k] for i in range(r)]) for k in range(d_in)] for dhs in dh]
    dA = [
        [total((dh[q][i] * x[q][k] for q in range(n)), zero) if i < r else zero for k in range(d_in)] for i in range(R)
    ]
    dB = [
        [total((dy[q][j] * h[q][i] for q in range(n)), zero) if i < r else zero for i in range(R)] for j in range(d_out)
    ]
    return dx, dA, dB, column_sums(dy)


def column_sums(dy):
    return [total(column, 0 * dy[0][0]) for column in zip(*dy, strict=True)]


def dense(x, W, b):
    return [[b[j] + dot(W[j], row) for j in range(len(b))] for row in x]


def dense_grads(x, W, dy):
    dx = [[dot(row, [W[j][k] for j in range(len(W))]) for k in range(len(x[0]))] for row in dy]
    dW = [
        [total((dy[q][j] * x[q][k] for q in range(len(x))), 0 * x[0][0]) for k in range(len(x[0]))]
        for j in range(len(W))
    ]
    return dx, dW, column_sums(dy)


def dense_forward(t, attrs):
    return {"y": like(dense(flat(t["x"]), t["W"], t["b"]), t["x"])}


def dense_backward(t, attrs):
    dx, dW, db = dense_grads(flat(t["x"]), t["W"], flat(t["dy"]))
    return {"dx": like(dx, t["x"]), "dW": dW, "db": db}


def nested_linear_forward(t, attrs):
    x, r = t["x"], attrs["rank"]
    h = [[dot(t["A"][i], row) for i in range(r)] for row in flat(x)]
    return {"h": like(h, x), "y": like(layer(flat(x), t["A"], t["B"], t["b"], r), x)}


def nested_linear_backward(t, attrs):
    dx, dA, dB, db = layer_grads(flat(t["x"]), t["A"], t["B"], attrs["rank"], flat(t["dy"]))
    return {"dx": like(dx, t["x"]), "dA": dA, "dB": dB, "db": db}


def multirank_linear_forward(t, attrs):
    ys = [nested_linear_forward(t, {"rank": r})["y"] for r in attrs["ranks"]]
    return {"ys": ys, "h": nested_linear_forward(t, {"rank": max(attrs["ranks"])})["h"]}


def multirank_linear_backward(t, attrs):
    total = None
    for dy, r in zip(t["dys"], attrs["ranks"], strict=True):
        grads = nested_linear_backward({**t, "dy": dy}, {"rank": r})
        total = grads if total is None else {name: add(total[name], grads[name]) for name in grads}
    return total


def nested_embedding_forward(t, attrs):
    def look_up(tokens):
        if isinstance(tokens, list):
            return [look_up(token) for token in tokens]
        return t["E"][tokens][: attrs["rank"]]

    h = look_up(t["tokens"])
    y = [[dot(column[: attrs["rank"]], hs) for column in t["B"]] for hs in flat(h)]
    return {"h": h, "y": like(y, h)}


def nested_embedding_backward(t, attrs):
    """Position by position; a token that occurs twice adds up."""
    E, B, r = t["E"], t["B"], attrs["rank"]
    zero = 0 * E[0][0]
    dE, dB = [[zero for _ in row] for row in E], [[zero for _ in row] for row in B]
    tokens = [v for row in t["tokens"] for v in row] if isinstance(t["tokens"][0], list) else t["tokens"]
    for v, dy in zip(tokens, flat(t["dy"]), strict=True):
        for i in range(r):
            for j, g in enumerate(dy):
                dE[v][i] += g * B[j][i]
                dB[j][i] += g * E[v][i]
    return {"dE": dE, "dB": dB}


OPERATIONS = {
    function.__name__: function
    for function in (
        dense_forward,
        dense_backward,
        nested_linear_forward,
        nested_linear_backward,
        multirank_linear_forward,
        multirank_linear_backward,
        nested_embedding_forward,
        nested_embedding_backward,
    )
}
