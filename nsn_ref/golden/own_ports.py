"""The project's own ports: the reference, and the Numba engine, which is checked when no port is named."""

import numpy as np

from nsn_ref.golden import schema
from nsn_ref.golden.evaluate import Engine, as_arrays, evaluate
from nsn_ref.golden.evaluate import reference as reference_engine

FLOATS = ("float32", "float64")  # what engines compute in


class OwnPort:
    """An engine as a port; it is made when first used, so that Numba is not loaded before.

    Shorter formats are computed in float32 and rounded at the end. Where formats are mixed, each output has the one
    that its operation gives it.
    """

    def __init__(self, make_engine):
        self._make_engine = make_engine

    def run(self, op, inputs, attrs):
        """Outputs of one operation."""
        declared = schema.operation(op).tensors("inputs", attrs)
        dtypes = {t.master: inputs[name].dtype for name, t in declared.items() if t.kind == "float"}
        wide = {name: _wide(x) if declared[name].kind == "float" else x for name, x in inputs.items()}
        is_short = any(dtype.name not in FLOATS for dtype in dtypes.values())
        engine = self._make_engine()
        if is_short and True in dtypes:
            engine = _on_stored(engine, dtypes)
        outputs = as_arrays(evaluate(engine, op, wide, attrs))
        results = schema.operation(op).tensors("outputs", attrs)
        if is_short:  # intermediates were never rounded
            results = {name: t for name, t in results.items() if not t.optional}
        return {name: outputs[name].astype(_dtype(dtypes, t.master)) for name, t in results.items()}

    def open(self, attrs):
        """A session: engines keep nothing between calls."""
        return _Session(self)


class _Session:
    def __init__(self, port):
        self.call = port.run


def _on_stored(engine, dtypes):
    """An engine that goes on with logits and gradients as they are returned."""
    ops = _Storing(engine.ops, dtypes.get(False))
    return Engine(ops, _of_stored(engine.adamw_step, dtypes[True]), engine.sgd_step)


class _Storing:
    """Operations whose cross-entropy works on the logits as they are returned."""

    def __init__(self, ops, dtype):
        self._ops, self._dtype = ops, dtype

    def __getattr__(self, name):
        return getattr(self._ops, name)

    def softmax_cross_entropy_forward(self, z, targets, **options):
        """As the engine's."""
        stored = z if self._dtype is None else z.astype(self._dtype).astype(z.dtype)
        return self._ops.softmax_cross_entropy_forward(stored, targets, **options)


def _of_stored(step, dtype):
    """A step on the gradient as it is returned."""
    return lambda p, g, *state, **options: step(p, g.astype(dtype).astype(p.dtype), *state, **options)


def _wide(x):
    return x if x.dtype.name in FLOATS else x.astype(np.float32)


def _dtype(dtypes, master):
    """Of a weight as of the weights, of an activation as of the activations; where there is one kind only, as of it."""
    return dtypes.get(master, next(iter(dtypes.values())))


class _Kernels:
    """The kernels, and the reference's operations where there is no kernel."""

    def __getattr__(self, name):
        from nsn_ref import kernels, ops

        return getattr(kernels if hasattr(kernels, name) else ops, name)


def _numba_engine():
    from nsn_ref import kernels

    return Engine(_Kernels(), kernels.adamw_step, kernels.sgd_step)


reference = OwnPort(reference_engine)
engine = OwnPort(_numba_engine)
