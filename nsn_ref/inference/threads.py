"""Blocks of rows side by side, in as many threads as BLAS may use: each has products of its own, on one thread.

Two threads of BLAS in one product of a small network wait for each other longer than they work.
"""

from concurrent.futures import ThreadPoolExecutor

from nsn_ref.blas import numpy_blas
from nsn_ref.errors import NSNError


def side_by_side(work, blocks):
    """Call `work` with lists of blocks, together all of them, each in a thread of its own.

    While it runs, NumPy's products use one thread everywhere in the process.
    """
    try:
        pool = numpy_blas().threads
    except NSNError:  # a BLAS that cannot be told how many threads to use
        work(blocks)
        return
    threads = pool.get_num_threads()
    count = min(threads, len(blocks))
    if count <= 1:
        work(blocks)
        return
    pool.set_num_threads(1)
    try:
        with ThreadPoolExecutor(count) as executor:
            list(executor.map(work, [blocks[i::count] for i in range(count)]))
    finally:
        pool.set_num_threads(threads)
