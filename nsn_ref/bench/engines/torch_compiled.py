"""PyTorch with `torch.compile`: forward and backward compiled for the cell's shapes, fused AdamW."""

from nsn_ref.bench.cells import Cell
from nsn_ref.bench.engines.torch_eager import Torch, objective


def make(task):
    """The compiled step on a cell."""
    import torch

    torch.compiler.reset()
    return Torch(Cell.from_json(task), torch.compile(objective, fullgraph=True, dynamic=False))
