"""Writing past the cache: lines that nothing will read again soon go to memory directly.

An ordinary write first reads the line that it changes into the cache, and pushes out others. Arrays that no cache
holds are written in half the time without.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from nsn_ref.kernels.common import compiled

LINE = 64  # bytes of a cache line, or more


def copy_line(out, i, source, j):
    """Copy a line's worth of numbers from ``source[j:]`` to ``out[i:]``, which begins a line in memory."""
    width = LINE // out.itemsize
    out[i : i + width] = source[j : j + width]


@intrinsic
def _copy_line_past_cache(typingctx, out, i, source, j):
    def codegen(context, builder, signature, values):
        bits = out.dtype.bitwidth
        line = ir.VectorType(context.get_data_type(out.dtype), 8 * LINE // bits)
        to, at = (
            builder.bitcast(
                builder.gep(context.make_array(array)(context, builder, values[k]).data, [values[k + 1]]),
                line.as_pointer(),
            )
            for k, array in ((0, out), (2, source))
        )
        store = builder.store(builder.load(at, align=bits // 8), to, align=LINE)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(out, types.intp, source, types.intp), codegen


@overload(copy_line)
def _compiled_copy_line(out, i, source, j):
    return lambda out, i, source, j: _copy_line_past_cache(out, i, source, j)


def finish_writing():
    """Let what was written past the cache be seen before what is written next."""


@intrinsic
def _fence(typingctx):
    def codegen(context, builder, signature, values):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@overload(finish_writing)
def _compiled_finish_writing():
    return lambda: _fence()


@compiled
def before_first_line(out):
    """How many numbers of a contiguous array lie before its first whole line."""
    return -(int(out.ctypes.data) // out.itemsize) % (LINE // out.itemsize)


@compiled
def stream(source, out, at, lead):
    """Copy all of an array to ``out[at:]``, both on one axis; `lead` is what `before_first_line` says of `out`.

    After the last call comes one of `finish_writing`. A caller makes no slices between calls: counting references to
    them waits until everything is written, which makes it half as fast.
    """
    width = LINE // out.itemsize
    head = min(source.size, (lead - at) % width)
    lines = (source.size - head) // width
    for i in range(head):
        out[at + i] = source[i]
    for line in range(lines):
        copy_line(out, at + head + line * width, source, head + line * width)
    for i in range(head + lines * width, source.size):
        out[at + i] = source[i]
