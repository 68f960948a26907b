"""How a benchmark is run."""

from dataclasses import dataclass

from nsn_ref import checks
from nsn_ref.bench import engines

PEERS = ("torch", "torch-compile", "jax", "reference", "sklearn")


@dataclass(frozen=True)
class Plan:
    """The options of `nsn-ref bench`.

    Parameters
    ----------
    against : tuple of str
        Names of other engines, or their aliases.
    dtype : {"float32", "float64"}
    threads : int, >= 1
        Of every engine.
    repeats : int, >= 1, optional
        Turns of each engine in a cell; default 9, quick 2.
    quick : bool
        Small sizes and short turns.
    say : callable
        Told what is being done.

    Raises
    ------
    OptionError
    """

    against: tuple = PEERS
    dtype: str = "float32"
    threads: int = 2
    repeats: int | None = None
    quick: bool = False
    say: object = print

    def __post_init__(self):
        object.__setattr__(self, "against", engines.named("bench", self.against))
        checks.choice("bench", "--dtype", self.dtype, ("float32", "float64"))
        checks.integer("bench", "--threads", self.threads, 1)
        if self.repeats is not None:
            checks.integer("bench", "--repeats", self.repeats, 1)

    @property
    def rounds(self):
        """Turns of each engine in a cell."""
        return (2 if self.quick else 9) if self.repeats is None else self.repeats

    @property
    def turn(self):
        """About how long a turn lasts, in seconds."""
        return 0.05 if self.quick else 0.4

    @property
    def absent(self):
        """The engines asked for that are not installed."""
        return tuple(name for name in self.against if not engines.installed(name))

    def contestants(self, among=tuple(engines.ENGINES)):
        """Ours, and of the engines asked for those that are installed."""
        present = (name for name in self.against if name in among and name not in self.absent)
        return ("ours", *(name for name in dict.fromkeys(present) if name != "ours"))
