"""Every check accepts what it should, refuses the rest, and names function, argument, got and expected."""

import math
import re
from fractions import Fraction

import flint
import numpy as np
import pytest
from helpers import fractions

from nsn_ref import checks
from nsn_ref.certify.balls import to_balls
from nsn_ref.certify.rounding import rounded
from nsn_ref.errors import DTypeError, LabelError, NonFiniteError, NSNError, OptionError, RankError, ShapeError

ONES = np.ones((5, 3))
WIDE = np.ones((7, 4))


def refused(error, message, check, *args, **options):
    """The check raises exactly this error with exactly this message, which names the function."""
    with pytest.raises(error, match=f"^f: {re.escape(message)}$") as caught:
        check("f", *args, **options)
    assert isinstance(caught.value, NSNError)


# --- arrays ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [np.asarray, lambda x: x.astype(np.float32), lambda x: x + 0j, fractions, to_balls, rounded],
    ids=["float64", "float32", "complex128", "Fraction", "arb", "Rounded"],
)
def test_arrays_takes_every_number_system(convert):
    x, A = convert(np.ones((2, 5, 3))), convert(np.ones((7, 3)))
    assert checks.arrays("f", x=(x, "... d"), A=(A, "R d")) == {"...": (2, 5), "d": 3, "R": 7}


def test_arrays_agree_on_named_sizes():
    assert checks.arrays("f", x=(ONES, "n d"), t=(ONES, "n 3")) == {"n": 5, "d": 3, "3": 3}
    assert checks.arrays("f", x=(ONES, "... d"), t=(ONES, "... d"))["..."] == (5,)
    refused(ShapeError, "A has shape (7, 4), expected (R, d) = (R, 3)", checks.arrays, x=(ONES, "n d"), A=(WIDE, "R d"))
    refused(
        ShapeError,
        "t has shape (3, 5), expected (..., d) = (5, 3)",
        checks.arrays,
        x=(ONES, "... d"),
        t=(ONES.T, "... d"),
    )
    refused(ShapeError, "b has shape (3,), expected (5)", checks.arrays, b=(ONES[0], "5"))


@pytest.mark.parametrize("x", [np.float64(3), np.ones(3), np.ones((2, 5, 3))], ids=["0d", "1d", "3d"])
def test_arrays_have_the_named_number_of_axes(x):
    refused(ShapeError, f"x has shape {np.asarray(x).shape}, expected (n, d)", checks.arrays, x=(np.asarray(x), "n d"))


def test_leading_axes_are_one_or_more():
    refused(ShapeError, "x has shape (3,), expected (..., d)", checks.arrays, x=(np.ones(3), "... d"))
    assert checks.arrays("f", x=(np.ones((2, 3, 5, 7)), "... d"))["..."] == (2, 3, 5)


def test_arrays_hold_one_number_type():
    refused(DTypeError, "x is a list, expected a numpy.ndarray", checks.arrays, x=([1.0], "n"))
    allowed = "expected float32, float64, complex128, or an object array of Fraction or flint.arb"
    for dtype in (np.int64, np.bool_, np.float16, np.complex64, np.dtype("U3")):
        refused(DTypeError, f"x has dtype {np.dtype(dtype)}, {allowed}", checks.arrays, x=(np.zeros(3, dtype), "n"))
    refused(
        DTypeError,
        "b holds float32, expected float64 as x does",
        checks.arrays,
        x=(ONES, "n d"),
        b=(np.ones(3, np.float32), "d"),
    )
    mixed = np.array([Fraction(1), flint.arb(1)], dtype=object)
    refused(
        DTypeError,
        "x holds objects of type Fraction, arb, expected all Fraction or all arb",
        checks.arrays,
        x=(mixed, "n"),
    )
    for stranger, name in ((1.0, "float"), (1, "int"), (None, "NoneType"), ("1", "str")):
        objects = np.array([stranger], dtype=object)
        refused(
            DTypeError,
            f"x holds objects of type {name}, expected all Fraction or all arb",
            checks.arrays,
            x=(objects, "n"),
        )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_arrays_are_finite(bad):
    x = ONES.copy()
    x[4, 2] = bad
    imaginary = ONES + 0j
    imaginary.imag = x
    for array in (x, x.astype(np.float32), x + 0j, imaginary, to_balls(x), rounded(x)):
        refused(NonFiniteError, "x has NaN or infinity, expected finite numbers", checks.arrays, x=(array, "n d"))
        refused(NonFiniteError, "x has NaN or infinity, expected finite numbers", checks.alike, x=array)
        refused(
            NonFiniteError, "dy has NaN or infinity, expected finite numbers", checks.cotangent, array, (5, 3), array
        )


def test_cotangent_has_the_outputs_shape_and_type():
    checks.cotangent("f", ONES, (5, 3), like=ONES)
    message = "dy has shape (3, 5), expected (5, 3), the shape of the output"
    refused(ShapeError, message, checks.cotangent, ONES.T, (5, 3), ONES)
    message = "dy holds float32, expected float64 as the saved context does"
    refused(DTypeError, message, checks.cotangent, ONES.astype(np.float32), (5, 3), ONES)
    refused(DTypeError, "dys is a float, expected a numpy.ndarray", checks.cotangent, 1.0, (), ONES, name="dys")


def test_alike_arrays_have_one_shape_and_type():
    checks.alike("f", z=np.array(3.0))
    checks.alike("f", p=ONES, g=ONES)
    refused(ShapeError, "g has shape (3, 5), expected (5, 3) as p has", checks.alike, p=ONES, g=ONES.T)
    refused(DTypeError, "g holds complex128, expected float64 as p does", checks.alike, p=ONES, g=ONES + 0j)
    refused(DTypeError, "g is a NoneType, expected a numpy.ndarray", checks.alike, p=ONES, g=None)


def test_float_arrays_take_real_floats_only():
    assert checks.float_arrays("f", W=(ONES, "d_out d_in")) == {"d_out": 5, "d_in": 3}
    checks.real_floats("f", "W", ONES.astype(np.float32))
    for array, got in ((ONES + 0j, "dtype complex128"), (fractions(ONES), "dtype object"), ([1.0], "type list")):
        message = f"W has {got}, expected an ndarray of float32 or float64"
        refused(DTypeError, message, checks.real_floats, "W", array)
        refused(DTypeError, message, checks.float_arrays, W=(array, "d_out d_in"))


# --- numbers and ranks ----------------------------------------------------------------------------------------------


def test_number_is_one_of_the_type_beside_it():
    for value, like in (
        (1.0, ONES),
        (1, fractions(ONES)),
        (np.float32(1), ONES.astype(np.float32)),
        (Fraction(1), fractions(ONES)),
    ):
        checks.number("f", "dloss", value, like)
    refused(DTypeError, "dloss is a float, expected a Fraction", checks.number, "dloss", 1.0, fractions(ONES))
    refused(
        DTypeError,
        "dloss is a float64, expected a float32",
        checks.number,
        "dloss",
        np.float64(1),
        ONES.astype(np.float32),
    )
    refused(DTypeError, "dloss is a bool, expected a float64", checks.number, "dloss", True, ONES)
    refused(ShapeError, "dloss has shape (5, 3), expected a number", checks.number, "dloss", ONES, ONES)
    refused(
        NonFiniteError, "dloss has NaN or infinity, expected finite numbers", checks.number, "dloss", math.nan, ONES
    )


def test_not_empty_and_above_zero():
    checks.not_empty("f", "y", ONES)
    refused(ShapeError, "y has shape (0, 3), expected at least one element", checks.not_empty, "y", ONES[:0])
    checks.above_zero("f", "losses", ONES)
    for bad in (0.0, -1.0):
        message = f"losses has the element {bad}, expected numbers > 0"
        refused(OptionError, message, checks.above_zero, "losses", np.array([1.0, bad]))


@pytest.mark.parametrize("good", [1, 7, np.int64(4), np.uint8(7)])
def test_ranks_are_integers_from_one_to_R(good):
    checks.rank("f", good, 7)
    checks.ranks("f", [good, 1, good], 7)


@pytest.mark.parametrize("bad", [0, -1, 8, 1.0, True, None, "1", np.float64(2), np.bool_(True)], ids=repr)
def test_bad_ranks_are_refused(bad):
    refused(RankError, f"rank is {bad!r}, expected an integer in 1..7", checks.rank, bad, 7)
    refused(RankError, f"ranks[1] is {bad!r}, expected an integer in 1..7", checks.ranks, (3, bad), 7)


@pytest.mark.parametrize("bad", [(), [], np.array([]), 3, None, "123", {1, 2}], ids=repr)
def test_ranks_are_a_sequence_that_is_not_empty(bad):
    refused(RankError, f"ranks is {bad!r}, expected a non-empty sequence of integers in 1..7", checks.ranks, bad, 7)


def test_losses_belong_to_their_ranks():
    checks.losses_at_ranks("f", np.ones(2), (3, 1), s=np.ones(5))
    message = "losses has shape (3,), expected (K,) = (2,), one for each of ranks"
    refused(ShapeError, message, checks.losses_at_ranks, np.ones(3), (3, 1), s=np.ones(5))
    message = "ranks[0] is 6, expected an integer in 1..5"
    refused(RankError, message, checks.losses_at_ranks, np.ones(2), (6, 1), s=np.ones(5))
    message = "s holds float32, expected float64 as losses does"
    refused(DTypeError, message, checks.losses_at_ranks, np.ones(2), (3, 1), s=np.ones(5, np.float32))


def test_labels_are_integers_below_the_number_of_classes():
    for dtype in (np.int64, np.int8, np.uint8):
        checks.labels("f", "targets", np.array([[0, 4]], dtype), (1, 2), 5)
    checks.labels("f", "targets", np.array([-100, 4]), (2,), 5, ignore_index=-100)
    checks.labels("f", "tokens", np.array([[[3]]]), None, 5)
    for bad in (5, -1, -100):
        message = f"targets has the label {bad}, expected integers in 0..4"
        refused(LabelError, message, checks.labels, "targets", np.array([0, bad]), (2,), 5)
    refused(ShapeError, "targets has shape (2,), expected (3,)", checks.labels, "targets", np.array([0, 1]), (3,), 5)
    for bad, got in ((ONES, "dtype float64"), (np.array([True]), "dtype bool"), ([0, 1], "type list"), (3, "type int")):
        message = f"targets has {got}, expected an ndarray of integers"
        refused(DTypeError, message, checks.labels, "targets", bad, None, 5)
        refused(DTypeError, message, checks.integers, "targets", bad)


def test_booleans_have_the_shape():
    checks.booleans("f", "mask", np.array([[True, False]]), (1, 2))
    refused(ShapeError, "mask has shape (2,), expected (1, 2)", checks.booleans, "mask", np.ones(2, bool), (1, 2))
    for bad, got in ((ONES, "dtype float64"), (np.array([1]), "dtype int64"), ([True], "type list")):
        refused(DTypeError, f"mask has {got}, expected an ndarray of booleans", checks.booleans, "mask", bad, (1,))


# --- options --------------------------------------------------------------------------------------------------------


def test_choice_is_one_of_the_names():
    checks.choice("f", "reduction", "mean", ("mean", "sum"))
    for bad in ("Mean", "", None, 0, True):
        message = f"reduction is {bad!r}, expected one of 'mean', 'sum'"
        refused(OptionError, message, checks.choice, "reduction", bad, ("mean", "sum"))


@pytest.mark.parametrize("good", [0, 0.5, 1, np.float32(0.25), np.int64(1), Fraction(1, 3)], ids=repr)
def test_between_takes_real_numbers(good):
    checks.between("f", "beta", good, 0, 1)


@pytest.mark.parametrize("bad", [-1e-300, math.nan, math.inf, True, None, "0.5", 0.5j, [0.5]], ids=repr)
def test_between_refuses_the_rest(bad):
    refused(OptionError, f"beta is {bad!r}, expected a number in [0, 1]", checks.between, "beta", bad, 0, 1)
    refused(OptionError, f"lr is {bad!r}, expected a number in [0, inf)", checks.between, "lr", bad, 0)


def test_the_ends_of_an_interval_may_be_open():
    refused(OptionError, "beta is 1, expected a number in [0, 1)", checks.between, "beta", 1, 0, 1, open_high=True)
    refused(OptionError, "eps is 0, expected a number in (0, inf)", checks.between, "eps", 0, 0, open_low=True)
    refused(OptionError, "x is -inf, expected a number in (-inf, inf)", checks.between, "x", -math.inf)


def test_integer_is_whole_and_in_range():
    checks.integer("f", "t", np.int64(3), 1)
    checks.integer("f", "t", -3)
    for bad in (0, 1.0, True, None, "3", math.nan):
        refused(OptionError, f"t is {bad!r}, expected an integer of at least 1", checks.integer, "t", bad, 1)
    refused(OptionError, "t is 4, expected an integer in 1..3", checks.integer, "t", 4, 1, 3)
    refused(OptionError, "t is 1.5, expected an integer", checks.integer, "t", 1.5)


def test_pair_is_one_integer_or_two():
    assert checks.pair("f", "stride", 2, 1) == (2, 2)
    assert checks.pair("f", "stride", [2, np.int64(3)], 1) == (2, 3)
    for bad in (0, 1.0, True, None, "2"):
        refused(OptionError, f"stride is {bad!r}, expected an integer of at least 1", checks.pair, "stride", bad, 1)
    refused(OptionError, "stride is 0, expected an integer of at least 1", checks.pair, "stride", (2, 0), 1)
    for bad in ((), (1,), (1, 2, 3)):
        refused(
            OptionError, f"stride is {bad!r}, expected an integer or a pair of integers", checks.pair, "stride", bad, 1
        )
