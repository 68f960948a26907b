"""Engines: both load, and what one lacks is named."""

import sys

import pytest

from nsn_ref import kernels, ops
from nsn_ref.errors import OptionError
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.mlp import MLP
from nsn_ref.training import optimizers
from nsn_ref.training.engines import check_engine, load_engine


def test_engines_by_name():
    assert load_engine("reference")[1:] == (ops, optimizers)
    assert load_engine("numba")[1:] == (kernels, kernels)
    with pytest.raises(OptionError, match=r"load_engine: engine is 'cuda', expected one of 'numba', 'reference'"):
        load_engine("cuda")


def test_numba_missing_is_named(monkeypatch):
    import nsn_ref

    monkeypatch.delattr(nsn_ref, "kernels", raising=False)
    monkeypatch.setitem(sys.modules, "nsn_ref.kernels", None)
    with pytest.raises(OptionError, match=r"load_engine: engine is 'numba', which cannot be imported"):
        load_engine("numba")


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "silu"])
def test_what_an_engine_lacks_is_named(activation):
    mlp, convnet = MLP((3, 5, 2), R=2, activation=activation), ConvNet((1, 3), 2, R=2)
    for net in (mlp, convnet):
        check_engine(load_engine("reference"), net)
    check_engine(load_engine("numba"), mlp)
    with pytest.raises(OptionError, match=r"train: engine is 'numba', which has no average_pool2d"):
        check_engine(load_engine("numba"), convnet)
