"""Prefix sums at many ranks: what is written past the cache has the bits of what is written into it."""

import numpy as np
import pytest

from nsn_ref.kernels import prefix, streaming

SHAPES = [(1, 1), (3, 5), (40, 16), (7, 33), (2, 5003), (300, 17)]  # rows above and below one block's, d_out


def sums(rng, n, d_out, ranks, dtype, offset):
    """Outputs in an array that begins some numbers behind the start of a line, with the numbers around it."""
    y, h, columns = (rng.standard_normal(shape).astype(dtype) for shape in ((n, d_out), (n, 7), (7, d_out)))
    around = np.full(n * d_out * len(ranks) + 32, 1e9, dtype)
    ys = around[offset : offset + n * d_out * len(ranks)].reshape(len(ranks), n, d_out)
    prefix.prefix_sums(y, h, columns, 1, np.array(ranks), ys)
    return ys, np.delete(around, np.s_[offset : offset + ys.size]), (y, h, columns)


@pytest.mark.parametrize(("n", "d_out"), SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ranks", [range(1, 8), (7, 2, 2, 6), (3, 1)])
def test_streaming_has_the_bits_of_ordinary_writing(monkeypatch, n, d_out, dtype, ranks):
    for offset in (0, 1, 13, 16):
        found = []
        for large in (0, np.inf):
            monkeypatch.setattr(prefix, "LARGE", large)
            ys, others, (y, h, columns) = sums(np.random.default_rng(offset), n, d_out, ranks, dtype, offset)
            assert (others == 1e9).all(), "numbers around the outputs were written to"
            found.append(ys.copy())
        assert found[0].tobytes() == found[1].tobytes()
        for k, rank in enumerate(ranks):
            np.testing.assert_allclose(ys[k], y + h[:, 1:rank] @ columns[1:rank], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_python_body_of_stream_says_the_same(rng, dtype):
    source = rng.standard_normal(50).astype(dtype)
    for at in range(20):
        out, expected = np.zeros((2, 80), dtype)
        lead = streaming.before_first_line(out)
        assert lead == streaming.before_first_line.py_func(out) < 64
        assert (out[lead:].ctypes.data % streaming.LINE) == 0
        streaming.stream(source, out, at, lead)
        streaming.stream.py_func(source, expected, at, lead)
        assert (out == expected).all() and (out[at : at + 50] == source).all()
