"""Floating-point formats: how many bits a number has, and how small a normal one may be."""

import math
from typing import NamedTuple

from nsn_ref.errors import OptionError


class Format(NamedTuple):
    """A binary format, rounded to nearest unless `truncates`."""

    name: str
    bits: int  # of the significand, the leading one included
    lowest: int  # exponent of the smallest normal number
    highest: int  # exponent of the largest number
    truncates: bool = False  # conversion to the format may cut bits off instead of rounding

    @property
    def unit_roundoff(self):
        """The largest relative error of one rounding of a normal number."""
        return 2.0 ** (1 - self.bits if self.truncates else -self.bits)

    @property
    def smallest_normal(self):
        """Below it digits are lost, or the number is flushed to zero."""
        return 2.0**self.lowest

    @property
    def half_quantum(self):
        """The largest error of rounding a number below the smallest normal one, where none is flushed to zero.

        Of float64 it is no float64: then the next one up.
        """
        return max(2.0**self.lowest * self.unit_roundoff, math.ulp(0.0))

    def holds(self, value):
        """Whether a float is one of the format's normal numbers, or zero."""
        if value == 0:
            return True
        mantissa, exponent = math.frexp(value)
        if not (math.isfinite(value) and self.lowest < exponent <= self.highest + 1):
            return False
        return (mantissa * 2.0**self.bits).is_integer()


FORMATS = {
    f.name: f
    for f in (
        Format("float64", 53, -1022, 1023),
        Format("float32", 24, -126, 127),
        Format("tf32", 11, -126, 127, truncates=True),
        Format("float16", 11, -14, 15),
        Format("bfloat16", 8, -126, 127),
    )
}


def named(name):
    """The format of that name.

    Raises
    ------
    OptionError
    """
    if name not in FORMATS:
        raise OptionError(f"unknown format {name!r}, expected one of {', '.join(FORMATS)}")
    return FORMATS[name]
