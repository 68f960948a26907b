"""Which BLAS multiplies: NumPy's, or MKL where it is asked for; what is refused."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from nsn_ref import blas
from nsn_ref.errors import NSNError, OptionError
from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.loop import train

needs_mkl = pytest.mark.skipif(blas.mkl_path() is None, reason="MKL is not installed")

# prints what a process with MKL finds: names, and the gradients of one step
WITH_MKL = """
import json
import numpy as np
from test_blas import problem
from nsn_ref.blas import chosen_blas, numpy_blas
from nsn_ref.kernels.step import MLPStep, adamw_rates
from nsn_ref.training.run import environment

before = environment()
net, params, x, labels, ranks = problem()
found = {"environment": before["blas"], "chosen": chosen_blas().name, "numpy": numpy_blas().name}
for dtype in ("float32", "float64"):
    with MLPStep(net, dtype, rows=len(x), threads=2) as step:
        step.load({name: p.astype(dtype) for name, p in params.items()}, {}, {})
        step.step(x.astype(dtype), labels, ranks, (adamw_rates(1, lr=0.0),) * 2)
        found[dtype] = {name: g.tolist() for name, g in step.grads.items()}
assert environment() == before
print(json.dumps(found))
"""


def problem():
    """A network, its parameters, and a batch at two ranks."""
    rng, net = np.random.default_rng(3), MLP((23, 29, 19, 5), R=13)
    params = net.init(rng, "float64")
    params["s"] = rng.standard_normal(13)
    return net, params, rng.standard_normal((37, 23)), rng.integers(0, 5, 37), (13, 4)


def python(code, **environment):
    """The last line that a process prints."""
    environment = os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()[-1]


def test_numpys_own_is_the_default(monkeypatch):
    monkeypatch.delenv(blas.VARIABLE, raising=False)
    assert blas.chosen_blas() is blas.numpy_blas()
    assert set(blas.chosen_blas().gemm) == {np.dtype("float32"), np.dtype("float64")}


def test_an_unknown_name_is_refused_before_anything_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv(blas.VARIABLE, "blis")
    data = np.zeros((3, 5), np.float32), np.zeros(3, int)
    with pytest.raises(OptionError, match="blas: NSN_REF_BLAS is 'blis', expected one of 'numpy', 'mkl'"):
        train(MLP((5, 3), R=2, nested=(True,)), data, TrainConfig(steps=1), out=tmp_path / "run", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_mkl_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setenv(blas.VARIABLE, "mkl")
    monkeypatch.setattr(blas, "mkl_path", lambda: None)
    blas.mkl_blas.cache_clear()
    with pytest.raises(OptionError, match=r"blas: NSN_REF_BLAS is 'mkl', expected its libmkl_rt\.so, which"):
        blas.check()


def test_a_numpy_without_a_known_gemm_is_named(monkeypatch):
    monkeypatch.setattr(blas, "SPELLINGS", ("no_{}gemm",))
    blas.numpy_blas.cache_clear()
    with pytest.raises(NSNError, match="numpy_blas: no BLAS with gemm"):
        blas.numpy_blas()


@needs_mkl
def test_a_step_with_mkl_finds_the_gradients_of_the_reference():
    """In a process of its own: a library that is loaded stays."""
    found = json.loads(python(WITH_MKL, NSN_REF_BLAS="mkl"))
    assert found["chosen"] == "mkl" and found["numpy"] == blas.numpy_blas().name
    (mkl,) = (pool for pool in found["environment"] if pool["internal_api"] == "mkl")
    assert mkl["num_threads"] == 1 and len(found["environment"]) == 2
    net, *inputs = problem()
    expected = loss_and_grads(net, *inputs).grads
    for dtype, tolerance in (("float32", 1e-5), ("float64", 1e-13)):
        for name, g in expected.items():
            error = np.abs(np.array(found[dtype][name]) - g).max()
            assert error <= tolerance * max(1.0, np.abs(g).max()), (dtype, name)
