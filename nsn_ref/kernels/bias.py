"""The loops of every linear layer's bias: adding it, also with the activation after it, and its gradient."""

from nsn_ref.kernels.common import compiled


@compiled
def add_bias_loop(y, b):
    """y += b, row by row."""
    for i in range(y.shape[0]):
        for j in range(b.size):
            y[i, j] += b[j]


@compiled
def add_bias_relu_loop(y, b):
    """Y = max(y + b, 0), row by row; NaN stays NaN."""
    zero = y.dtype.type(0)
    for i in range(y.shape[0]):
        for j in range(b.size):
            z = y[i, j] + b[j]
            y[i, j] = zero if z <= zero else z


@compiled
def sum_rows_loop(dy, db):
    """The sum of the rows of dy."""
    db[:] = 0
    for i in range(dy.shape[0]):
        for j in range(db.size):
            db[j] += dy[i, j]
