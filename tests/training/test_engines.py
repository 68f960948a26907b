"""Engines: both load, and what one lacks is named."""

import sys
from types import SimpleNamespace

import pytest

from nsn_ref import kernels, ops
from nsn_ref.errors import OptionError
from nsn_ref.nets.convnet import ConvNet
from nsn_ref.nets.mlp import MLP
from nsn_ref.training import optimizers
from nsn_ref.training.engines import Engine, check_engine, load_engine


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


NETS = [MLP((3, 5, 2), R=2, activation=name) for name in ("relu", "gelu", "gelu_tanh", "silu")]


@pytest.mark.parametrize("net", [*NETS, ConvNet((1, 3), 2, R=2), ConvNet((1, 3), 2, R=2, nested=(False, True))])
def test_both_engines_have_every_operation_of_every_network(net):
    for name in ("reference", "numba"):
        check_engine(load_engine(name), net)


def test_what_an_engine_lacks_is_named():
    lacking = Engine("half", SimpleNamespace(nested_conv2d_forward=None, relu_forward=None, dense_forward=None), None)
    with pytest.raises(
        OptionError, match=r"train: engine is 'half', which has no average_pool2d; expected 'reference'"
    ):
        check_engine(lacking, ConvNet((1, 3), 2, R=2))
