"""Every error that this package raises on purpose. All are `NSNError`."""


class NSNError(Exception):
    """Base of all errors raised on purpose; the command line prints it and exits with status 2."""


class ShapeError(NSNError, ValueError):
    """An array's shape disagrees with another's or with what the function takes."""


class DTypeError(NSNError, TypeError):
    """An array's dtype or number type is not one that the function takes."""


class RankError(NSNError, ValueError):
    """A rank is not an integer in 1..R."""


class NonFiniteError(NSNError, ValueError):
    """NaN or infinity where a finite number is needed."""


class LabelError(NSNError, ValueError):
    """A label is not an integer in 0..C-1, or none is left after `ignore_index`."""


class OptionError(NSNError, ValueError):
    """An option has a value outside its range, or a name that does not exist."""


class NumberSystemError(NSNError, TypeError):
    """The operation does not exist in this number system (exp of a Fraction, say)."""


class NeedMorePrecision(NSNError, ArithmeticError):
    """A comparison of balls is undecided: evaluate again at a higher precision."""


class FileError(NSNError, OSError):
    """A file is missing, truncated, altered, or not of the expected format."""


class DataError(NSNError, ValueError):
    """A data set has missing values, no rows, or features and labels that disagree."""


class DivergedError(NSNError, ArithmeticError):
    """Training produced a loss or gradient that is not finite."""


class ClaimError(NSNError, ValueError):
    """The ledger of claims is malformed, or has no such claim."""


class SuiteError(NSNError):
    """A golden suite cannot be read, is empty, or fails its own checksums."""


class PortError(NSNError):
    """A port cannot be loaded or does not follow the protocol."""


class CellError(NSNError):
    """Cells of an experiment failed; those that finished are recorded."""


class ClusterError(NSNError, ConnectionError):
    """A scheduler does not answer, or its workers cannot run what they are sent."""
