"""What is timed: a network, its batch, and the ranks of a step; with the parameters and the batches of it."""

from dataclasses import asdict, dataclass, replace

import numpy as np

BATCHES = 8  # in turn; at the learning rate of a timing none of them is ever fitted
# lr of a timing: the weights stay as they are. A batch that is fitted has gradients in the subnormal range, which
# slow the processor down severalfold in engines that keep them, and not in those that flush them to zero.
STILL = {"lr": 1e-7, "weight_decay": 0.01, "eps": 1e-8}
# rates of a check: an error anywhere in the update shows in the losses of the steps after it. With an eps far below the
# gradients, Adam's step for one that is no more than rounding would be as large as any other, with a sign by chance.
MOVING = {"lr": 1e-4, "weight_decay": 10.0, "eps": 1e-4}


@dataclass(frozen=True)
class Cell:
    """A training step: network, ranks, batch, AdamW under the learned-uncertainty objective.

    Parameters
    ----------
    widths : tuple of int
        Of an `MLP`; or the channels of a `ConvNet`, then its classes.
    R : int
    ranks : tuple of int
        Trained at each step.
    rows : int
        Of a batch.
    dtype : {"float32", "float64"}
    threads : int
    lr, weight_decay, eps : float
        The decay is for A, B and W alone.
    side : int, optional
        Height and width of the images of a `ConvNet`.
    """

    widths: tuple
    R: int
    ranks: tuple
    rows: int
    dtype: str = "float32"
    threads: int = 2
    lr: float = STILL["lr"]
    weight_decay: float = STILL["weight_decay"]
    eps: float = STILL["eps"]
    side: int | None = None

    @property
    def name(self):
        """The widths, R and the batch, as tables show them; and the size of images."""
        images = "" if self.side is None else f", {self.side} x {self.side}"
        return f"{'-'.join(map(str, self.widths))} ({self.R}, {self.rows}){images}"

    def net(self):
        """The network."""
        from nsn_ref.nets.convnet import ConvNet
        from nsn_ref.nets.mlp import MLP

        return MLP(self.widths, self.R) if self.side is None else ConvNet(self.widths[:-1], self.widths[-1], self.R)

    def data(self):
        """Parameters by name, and a list of `BATCHES` batches (x, labels); the same in every process."""
        rng = np.random.default_rng(0)
        params = self.net().init(rng, self.dtype)
        shape = (self.rows, self.widths[0]) + (() if self.side is None else (self.side, self.side))
        return params, [
            (rng.standard_normal(shape).astype(self.dtype), rng.integers(0, self.widths[-1], self.rows))
            for _ in range(BATCHES)
        ]

    def check(self):
        """The same cell with rates that move the weights."""
        return replace(self, **MOVING)

    def to_json(self):
        """As a dict that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, values):
        """The cell that `to_json` gave."""
        return cls(**values | {"widths": tuple(values["widths"]), "ranks": tuple(values["ranks"])})


def pair(widths, R, rows, side=None, **options):
    """The step of the targets: the anchor R and the variant R / 4."""
    return Cell(widths, R, (R, R // 4), rows, side=side, **options)


NETS = (
    ((64, 128, 128, 10), 32, 64),
    ((784, 256, 256, 10), 64, 128),
    ((784, 1024, 1024, 10), 256, 128),
    ((1024, 2048, 2048, 1000), 512, 256),
)
CONV_NETS = (
    ((1, 16, 32, 10), 16, 64, 8),
    ((3, 32, 64, 10), 32, 32, 32),
)


def multiply_adds(cell):
    """Multiply-adds of one step of an `MLP`, the first layer shared by the ranks: what no engine can do without."""
    n, ranks = cell.rows, cell.ranks
    *hidden, (d_in, d_out) = zip(cell.widths, cell.widths[1:], strict=False)
    total = 3 * n * len(ranks) * d_in * d_out
    for i, (a, b) in enumerate(hidden):
        rank = max(ranks) if i == 0 else sum(ranks)
        total += n * rank * (2 * a + 3 * b if i == 0 else 3 * (a + b))  # the first needs no gradient of its input
    return total
