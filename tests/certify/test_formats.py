"""Numbers under a contract of several formats: products of matrices, sums, storing, and what is exact."""

from fractions import Fraction

import numpy as np
import pytest

from nsn_ref.certify import rounding
from nsn_ref.certify.exactness import exact
from nsn_ref.certify.formats import named
from nsn_ref.certify.rounding import ContractArray, Rounded
from nsn_ref.errors import NeedMorePrecision
from nsn_ref.golden import contracts
from nsn_ref.ops import nested_linear_forward
from nsn_ref.scalars import exp, zeros_like

SHORT = ("bfloat16", "float16", "bfloat16_master")
UNIT = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "bfloat16_master": 2.0**-8, "tf32": 2.0**-24}


def in_contract(dtype, **overrides):
    return rounding.precision(contracts.for_port(dtype, overrides))


def small(rng, *shape):
    """Numbers that every format has."""
    return rng.integers(-8, 9, shape) / 4 + 1 / 8


@pytest.mark.parametrize("dtype", SHORT)
def test_a_product_is_rounded_once_to_storage_and_little_in_between(dtype, rng):
    x, y = small(rng, 3, 7), small(rng, 7, 5)
    with in_contract(dtype):
        product = rounding.rounded(x) @ rounding.rounded(y)
        v, e = rounding.values(product), rounding.errors(product)
    assert np.array_equal(v, x @ y)
    u, sizes = UNIT[dtype], abs(x) @ abs(y)
    assert (e >= u * abs(v)).all() and (e <= u * abs(v) * (1 + u) + 30 * 2.0**-24 * sizes + 2.0**-24).all()


def test_operands_that_their_format_lacks_are_charged(rng):
    x, y = small(rng, 3, 7), small(rng, 7, 5)
    with in_contract("tf32"):
        held = rounding.errors(rounding.rounded(x) @ rounding.rounded(y))
        full = rounding.errors(rounding.rounded(x * (1 + 2.0**-20)) @ rounding.rounded(y))
    assert (full > held + 2.0**-10 * 0.9 * (abs(x) @ abs(y))).all()
    assert (full < held + 2.0**-10 * 1.1 * (abs(x) @ abs(y))).all()


def test_a_truncating_accumulator_costs_twice_as_much_and_its_blocks(rng):
    x, y = small(rng, 1, 40), small(rng, 40, 1)
    with in_contract("tf32", truncating=False):
        rounded = rounding.errors(rounding.rounded(x) @ rounding.rounded(y))
    with in_contract("tf32"):
        cut = rounding.errors(rounding.rounded(x) @ rounding.rounded(y))
    sizes = (abs(x) @ abs(y)).item()
    assert rounded.item() <= 2.0**-24 * 42 * sizes
    assert 2.0**-23 * 59 * sizes < cut.item() < 2.0**-23 * 63 * sizes


def test_a_bias_may_be_added_before_or_after_storing():
    x, w, b = np.array([[3.0]]), np.array([[5.0]]), np.array([-14.875])
    with in_contract("bfloat16"):
        e = rounding.errors(rounding.product(*map(rounding.rounded, (x, w, b)))).item()
    assert e >= 15 * 2.0**-8  # the product stored first; what is left of it is 1/8


@pytest.mark.parametrize("dtype, u", [("bfloat16", 2.0**-24), ("float16", 2.0**-24), ("tf32", 2.0**-24)])
def test_a_sum_over_an_axis_is_a_batch_sum(dtype, u, rng):
    x = small(rng, 9, 4)
    with in_contract(dtype):
        numbers = rounding.rounded(x)
        e = rounding.errors(numbers.sum(axis=0))
        assert numbers.sum(axis=0, keepdims=True).shape == (1, 4) and isinstance(numbers.sum(), Rounded)
        assert rounding.errors(numbers.sum(axis=(0, 1))).shape == ()
    once = UNIT[dtype] * abs(x.sum(axis=0)) if dtype != "tf32" else 0
    assert (e >= once).all() and (e <= once * 1.01 + 9 * u * abs(x).sum(axis=0) * 1.01 + 1e-6).all()
    with in_contract(dtype, batch_sum="bfloat16"):
        assert (rounding.errors(rounding.rounded(x).sum(axis=0)) >= 8 * 2.0**-8 * abs(x).sum(axis=0)).all()


def test_a_sum_in_a_format_too_short_for_it_has_no_bound():
    with in_contract("bfloat16", batch_sum="bfloat16"):
        assert rounding.errors(rounding.rounded(np.ones(300)).sum()) == np.inf
        assert np.isfinite(rounding.errors(rounding.rounded(np.ones(200)).sum()))


def test_storing_rounds_what_has_not_been_rounded():
    with in_contract("bfloat16_master"), rounding.inside("elementwise"):
        third = Rounded(1.0) / 3  # in float32
        once = rounding.stored(third)
        assert third.error < 2.0**-23 < 2.0**-8 / 3 < once.error < 2.0**-8 / 3 * 1.001
        assert rounding.stored(once).error == rounding.stored(-once).error == once.error
        assert rounding.stored(once * 4).error == 4 * once.error
        assert rounding.stored(Rounded(0.15625)).error == 0
        assert rounding.stored(third, "master").error == third.error
        assert rounding.stored(once + third).error > once.error + third.error
    with in_contract("bfloat16"), rounding.inside("elementwise"):
        third = Rounded(1.0) / 3  # in bfloat16 already
        assert rounding.stored(third).error == third.error > 2.0**-9
    third = Rounded(1.0) / 3
    assert rounding.stored(third) is third


def test_arithmetic_of_another_kind():
    with in_contract("bfloat16"):
        assert (Rounded(1.0) / 3).error > 2.0**-10
        with rounding.inside("optimizer"):
            assert (Rounded(1.0) / 3).error < 2.0**-23
        assert (Rounded(1.0) / 3).error > 2.0**-10


@pytest.mark.parametrize("dtype", SHORT)
def test_short_functions_are_rounded_once(dtype):
    with in_contract(dtype), rounding.inside("elementwise"):
        e = Rounded(1.0).exp().error
    u = 2.0**-24 if dtype == "bfloat16_master" else UNIT[dtype]
    assert u * np.e < e < (1.1 * u + 17 * 2.0**-24) * np.e + 2e-4 * (dtype == "float16")


def test_arrays_keep_their_kind(rng):
    with in_contract("bfloat16"):
        x = rounding.rounded(small(rng, 3, 5))
        for array in (
            x.T,
            x[1:],
            x * x,
            zeros_like(x),
            exp(x),
            x @ x.T,
            np.moveaxis(x, 0, 1),
            x.sum(axis=0),
        ):
            assert isinstance(array, ContractArray)
    assert not isinstance(rounding.rounded(small(rng, 3)), ContractArray)


@pytest.mark.parametrize("dtype", contracts.DEFAULTS)
def test_small_integers_are_exact_in_every_format(dtype, rng):
    inputs = [rng.integers(-2, 3, shape).astype(float) for shape in ((3, 4), (5, 4), (2, 5), (2,))]
    expected, _ = nested_linear_forward(*(np.vectorize(Fraction, otypes=[object])(x) for x in inputs), 3)
    with in_contract(dtype):
        y, _ = nested_linear_forward(*map(exact, inputs), 3)
    assert (np.vectorize(float)(y) == expected.astype(float)).all()


def test_what_is_stored_must_be_a_number_of_its_format():
    x, w = np.array([[16.0, 1.0]]), np.array([[16.0], [1.0]])  # 257 has nine bits
    with (
        in_contract("bfloat16"),
        pytest.raises(NeedMorePrecision, match=r"257\.0 is stored, but is no number of bfloat16"),
    ):
        exact(x) @ exact(w)
    with in_contract("float16"):
        assert float((exact(x) @ exact(w))[0, 0]) == 257
    with in_contract("bfloat16"):  # inside the sum it may have them
        assert float((exact(np.array([[16.0, 1.0, -1.0]])) @ exact(np.array([[16.0], [1.0], [1.0]])))[0, 0]) == 256


def test_operands_and_sums_must_be_exact_too():
    with in_contract("tf32"), pytest.raises(NeedMorePrecision, match="no number of tf32"):
        exact(np.array([[2049.0]])) @ exact(np.array([[1.0]]))
    with in_contract("bfloat16"), pytest.raises(NeedMorePrecision, match="needs more than 24 bits"):
        exact(np.array([[256.0, 1.0, -256.0]])) @ exact(np.array([[2.0**16], [1.0], [2.0**16]]))
    with in_contract("bfloat16"), pytest.raises(NeedMorePrecision, match="needs more than 8 bits"):
        exact(np.array([16.0])) * 16.0 + 1.0
    with in_contract("float16"), pytest.raises(NeedMorePrecision, match="no number of float16"):
        exact(np.array([[256.0]])) @ exact(np.array([[512.0]]))  # beyond the largest number


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16"])
def test_half_quantum_is_never_too_small(name):
    f = named(name)
    exact = Fraction(2) ** (f.lowest - f.bits)
    assert exact <= Fraction(f.half_quantum) <= 2 * exact
