"""Keys and values of positions that have been run, so that a token more costs one position."""

import numpy as np


class KVCache:
    """Keys and values of every block, at up to `capacity` positions.

    A forward pass with it writes behind what is there; `length` moves when the pass is done, so that every block of
    the pass starts from the same place.

    Parameters
    ----------
    config : DecoderConfig
    n : int
        Sequences.
    capacity : int
    dtype : {float32, float64}
    """

    def __init__(self, config, n, capacity, dtype):
        shape = (config.blocks, n, capacity, config.kv_heads, config.head_dim)
        self.keys, self.values = np.zeros(shape, dtype), np.zeros(shape, dtype)
        self.length = 0

    def extended(self, block, k, v):
        """Keys and values of a block at all positions, those given last.

        Parameters
        ----------
        block : int
        k, v : ndarray, shape (n, T, kv_heads, head_dim)

        Returns
        -------
        k, v : ndarray, shape (n, length + T, kv_heads, head_dim)
        """
        end = self.length + k.shape[1]
        self.keys[block, :, self.length : end] = k
        self.values[block, :, self.length : end] = v
        return self.keys[block, :, :end], self.values[block, :, :end]
