"""Matrix products from compiled code.

The address of the library's ``gemm`` is an argument, so what Numba caches holds no address and serves any library; see
`nsn_ref.blas` for which.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nsn_ref.kernels.common import compiled

NO_TRANSPOSE, TRANSPOSE = ord("N"), ord("T")


@intrinsic
def _call_gemm(typingctx, address, flag_a, flag_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """Fortran's gemm: everything by reference. An int64 serves 32-bit interfaces too: they read its low half."""
    pointers = {7, 9, 12}
    arguments = [types.uintp if i in pointers else types.int64 for i in range(14)]
    arguments[0], arguments[6], arguments[11] = types.uintp, alpha, beta

    def codegen(context, builder, signature, values):
        byte = ir.IntType(8).as_pointer()
        references = [
            builder.inttoptr(value, byte)
            if i in pointers
            else builder.bitcast(cgutils.alloca_once_value(builder, value), byte)
            for i, value in enumerate(values[1:], 1)
        ]
        kind = ir.FunctionType(ir.VoidType(), [byte] * 13)
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), references)
        return context.get_dummy_value()

    return types.void(*arguments), codegen


@compiled
def multiply(gemm, a, transposed_a, b, transposed_b, c, sizes, beta):
    """C = op(A) op(B) + beta C, row-major.

    A matrix is (address, numbers from row to row, bytes of a number); `sizes` are (m, n, k): C is (m, n), the sums run
    over k.
    """
    m, n, k = sizes
    if m > 0 and n > 0:
        flag_a = TRANSPOSE if transposed_a else NO_TRANSPOSE
        flag_b = TRANSPOSE if transposed_b else NO_TRANSPOSE
        # gemm reads by columns, so it sees every matrix transposed: C' = op(B)' op(A)'
        _call_gemm(gemm, flag_b, flag_a, n, m, k, type(beta)(1), b[0], b[1], a[0], a[1], beta, c[0], c[1])
