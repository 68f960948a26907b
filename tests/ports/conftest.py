"""Fixtures of the comparisons with other frameworks."""

import importlib

import pytest

from nsn_ref.hf.families import FAMILIES


@pytest.fixture
def lifted(monkeypatch):
    """Inside a test, what transformers computes in float32 whatever the model's dtype is computed in float64.

    These are norms, rotary frequencies, softmax and loss; two right implementations then differ by float64 roundings
    only. (In float64 as it is, transformers also gives NaN where a query may see no key.)
    """
    import torch

    class Lifted:
        """The module torch with another idea of float32."""

        float = float32 = torch.float64

        def __getattr__(self, name):
            return getattr(torch, name)

    for kind in FAMILIES:
        modeling = importlib.import_module(f"transformers.models.{kind}.modeling_{kind}")
        monkeypatch.setattr(modeling, "torch", Lifted())
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)  # of constants that a model keeps
    yield
    torch.set_default_dtype(torch.float32)
