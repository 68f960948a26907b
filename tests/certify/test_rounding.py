"""Rounding bounds hold for correct arithmetic of every kind, and are not loose.

Random straight-line programs run on `Rounded`, on balls (the truth), and on machines that may sum in any order, fuse
products into sums, flush subnormal numbers to zero, multiply by reciprocals, and compute elementary functions as badly
as allowed. In float16 the second-order terms of the bounds are large enough to be seen missing.
"""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
from helpers import normal

from nsn_ref.certify import rounding
from nsn_ref.certify.balls import working_precision
from nsn_ref.certify.rounding import ELEMENTARY_ULPS, Rounded
from nsn_ref.errors import NeedMorePrecision
from nsn_ref.ops.nested_linear import nested_linear_forward

DTYPES = (np.float16, np.float32, np.float64)
UNIT = {np.float16: 2.0**-11, np.float32: 2.0**-24, np.float64: 2.0**-53}
FUNCTIONS = {
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
    "rsqrt": lambda x: 1 / math.sqrt(x),
    "tanh": math.tanh,
    "logistic": lambda x: (1 + math.tanh(x / 2)) / 2,
    "erf": math.erf,
    "erfc": math.erfc,
}
ABSOLUTE = ("logistic", "erfc")  # their allowance is absolute


class Machine:
    """Correct floating-point arithmetic with habits of its own."""

    def __init__(self, dtype, rng):
        self.dtype, self.rng = dtype, rng
        self.u, self.tiny = UNIT[dtype], float(np.finfo(dtype).tiny)
        self.fuses, self.flushes, self.reciprocals = rng.random(3) < 0.5
        self.order = rng.choice(["sequential", "reversed", "pairwise", "random"])

    def store(self, exact):
        """Round a Fraction (or float) once."""
        y = float(self.dtype(float(exact)))
        if not math.isfinite(y):
            raise OverflowError
        return 0.0 if self.flushes and abs(y) < self.tiny else y

    def add(self, a, b):
        return self.store(Fraction(a) + Fraction(b))

    def multiply(self, a, b):
        return self.store(Fraction(a) * Fraction(b))

    def divide(self, a, b):
        if self.reciprocals and 1 / abs(b) >= self.tiny:
            return self.multiply(a, self.store(1 / Fraction(b)))
        return self.store(Fraction(a) / Fraction(b))

    def sum(self, terms):
        terms = list(terms)[:: -1 if self.order == "reversed" else 1]
        while len(terms) > 1:
            if self.order == "pairwise":
                terms = [self.add(*pair) if len(pair) == 2 else pair[0] for pair in zip_pairs(terms)]
            else:
                i, j = (0, 1) if self.order != "random" else self.rng.choice(len(terms), 2, replace=False)
                total = self.add(terms[i], terms[j])
                terms = [total] + [t for k, t in enumerate(terms) if k not in (i, j)]
        return terms[0]

    def dot(self, a, b):
        if not self.fuses:
            return self.sum(map(self.multiply, a, b))
        total = self.multiply(a[0], b[0])
        for x, y in zip(a[1:], b[1:], strict=True):
            total = self.store(Fraction(total) + Fraction(x) * Fraction(y))
        return total

    def function(self, name, x):
        """The float64 function, made wrong by what is allowed (less two units for rounding the result)."""
        y = FUNCTIONS[name](x)
        units = 0 if name == "sqrt" else self.rng.uniform(-1, 1) * (ELEMENTARY_ULPS - 2)
        return self.store(y + units * self.u * (1 if name in ABSOLUTE else abs(y)))


def zip_pairs(terms):
    return [terms[k : k + 2] for k in range(0, len(terms), 2)]


class Value:
    """One number of a program: its bound, its truth, and what each machine makes of it."""

    def __init__(self, bounded, truth, computed):
        self.bounded, self.truth, self.computed = bounded, truth, computed


def exact(x, machines):
    return Value(Rounded(x), flint.arb(x), [x] * len(machines))


def random_input(rng, dtype):
    """Full significands over a wide range; also zeros, powers of two, and numbers whose products underflow."""
    kind = rng.integers(0, 10)
    if kind == 0:
        return 0.0
    if kind == 1:
        return float(rng.choice([-1, 1]) * 2.0 ** rng.integers(-4, 4))
    exponent = rng.integers(-8, -5) if kind == 2 and dtype is np.float16 else rng.integers(-3, 3)
    return float(dtype(rng.choice([-1, 1]) * rng.uniform(1, 2) * 2.0**exponent))


def step(rng, pool, machines):
    """One random operation on random numbers of the pool."""
    picks = [pool[i] for i in rng.integers(0, len(pool), 6)]
    a, b = picks[:2]
    kind = rng.choice(["sum", "dot", "difference", "cancel", "product", "quotient", "power", "function"])
    if kind == "sum":
        return Value(
            sum(p.bounded for p in picks),
            sum(p.truth for p in picks),
            [m.sum([p.computed[k] for p in picks]) for k, m in enumerate(machines)],
        )
    if kind == "dot":
        return Value(
            (as_array(p.bounded for p in picks[:3]) @ as_array(p.bounded for p in picks[3:])),
            sum(p.truth * q.truth for p, q in zip(picks[:3], picks[3:], strict=True)),
            [
                m.dot(*([p.computed[k] for p in half] for half in (picks[:3], picks[3:])))
                for k, m in enumerate(machines)
            ],
        )
    if kind == "cancel":  # with a constant near the value: what is left is mostly error
        b = exact(machines[0].store(a.computed[0]), machines)
    if kind in ("difference", "cancel"):
        computed = [m.add(a.computed[k], -b.computed[k]) for k, m in enumerate(machines)]
        return Value(a.bounded - b.bounded, a.truth - b.truth, computed)
    if kind == "product":
        computed = [m.multiply(a.computed[k], b.computed[k]) for k, m in enumerate(machines)]
        return Value(a.bounded * b.bounded, a.truth * b.truth, computed)
    if kind == "quotient":
        bounded = a.bounded / b.bounded  # raises where b may be zero
        computed = [m.divide(a.computed[k], b.computed[k]) for k, m in enumerate(machines)]
        return Value(bounded, a.truth / b.truth, computed)
    if kind == "power":
        computed = [m.multiply(m.multiply(a.computed[k], a.computed[k]), a.computed[k]) for k, m in enumerate(machines)]
        return Value(a.bounded**3, a.truth * a.truth * a.truth, computed)
    name = rng.choice(list(FUNCTIONS))
    bounded = getattr(a.bounded, name)()  # raises outside the domain
    truth = 1 / (1 + (-a.truth).exp()) if name == "logistic" else getattr(a.truth, name)()
    return Value(bounded, truth, [m.function(name, a.computed[k]) for k, m in enumerate(machines)])


def as_array(values):
    return np.array(list(values), dtype=object)


def assert_sound(value, what):
    """The bound covers every machine; a decided sign is every machine's and the truth's."""
    bound = float(rounding.errors(value.bounded))
    for computed in value.computed:
        assert abs(flint.arb(computed) - value.truth) <= bound, f"{what}: {computed} is not within {value.bounded}"
    try:
        positive = value.bounded > 0
    except NeedMorePrecision:
        return
    assert all((computed > 0) == positive for computed in value.computed)
    assert (value.truth > 0) == positive


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_every_machine_stays_within_the_bounds(rng, dtype):
    checked = 0
    with rounding.precision(dtype.__name__), working_precision(300):
        for _ in range(500):
            machines = [Machine(dtype, rng) for _ in range(4)]
            pool = [exact(random_input(rng, dtype), machines) for _ in range(5)]
            for _ in range(8):
                try:
                    value = step(rng, pool, machines)
                except (NeedMorePrecision, OverflowError):  # undecided, or out of range
                    continue
                assert value.bounded.is_finite()
                assert_sound(value, dtype.__name__)
                pool.append(value)
                checked += len(machines)
    assert checked > 12_000


def ends(v, e):
    """The corners of what (v, e) may stand for: an exact number within e of v, a computed one within e of that."""
    return [(v + s * e, v + s * e + t * e) for s in (-1, 0, 1) for t in (-1, 1)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_carry_large_errors(rng, name):
    for _ in range(300):
        v = rng.uniform(0.5, 3) if name in ("log", "sqrt", "rsqrt") else rng.uniform(-3, 3)
        e = rng.uniform(0, 0.5) * rng.choice([1, 0.1])
        try:
            bound = rounding.errors(getattr(Rounded(v, e), name)())
        except NeedMorePrecision:
            continue
        for x, computed in ends(v, e):
            assert abs(FUNCTIONS[name](computed) - FUNCTIONS[name](x)) <= bound


def test_products_quotients_and_powers_carry_large_errors(rng):
    for _ in range(300):
        a, b = rng.uniform(-2, 2, 2)
        ea, eb = rng.uniform(0, 0.5, 2) * rng.choice([1, 0.1])
        product = rounding.errors(Rounded(a, ea) * Rounded(b, eb))
        power = rounding.errors(Rounded(a, ea) ** 3)
        try:
            quotient = rounding.errors(Rounded(a, ea) / Rounded(b, eb))
        except NeedMorePrecision:
            quotient = math.inf
        for x, computed_x in ends(a, ea):
            assert abs(computed_x**3 - x**3) <= power
            for y, computed_y in ends(b, eb):
                assert abs(computed_x * computed_y - x * y) <= product
                assert quotient == math.inf or abs(computed_x / computed_y - x / y) <= quotient


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
def test_an_open_sum_covers_every_order_of_all_its_terms(rng, dtype):
    """A bias and two products of vectors: nested sums may be flattened and reordered."""
    with rounding.precision(dtype.__name__):
        for _ in range(100):
            machine = Machine(dtype, rng)
            n = int(rng.integers(1, 8))
            a, b, c, d = (v.astype(dtype).astype(float) for v in normal(rng, n, n, n, n))
            bias = float(dtype(rng.standard_normal()))
            ra, rb, rc, rd = map(rounding.rounded, (a, b, c, d))
            bounded = Rounded(bias) + ra @ rb + rc @ rd
            machine.order = "random"
            computed = machine.sum([bias, *map(machine.multiply, a, b), *map(machine.multiply, c, d)])
            pairs = [(bias, 1.0), *zip(a, b, strict=True), *zip(c, d, strict=True)]
            truth = sum(Fraction(x) * Fraction(y) for x, y in pairs)
            assert abs(Fraction(computed) - truth) <= Fraction(bounded.error)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
def test_a_dot_product_is_bounded_by_n_roundings_of_its_terms(rng, dtype):
    u = UNIT[dtype]
    with rounding.precision(dtype.__name__):
        for n in (1, 2, 3, 10, 40):
            a, b = (v.astype(dtype).astype(float) for v in normal(rng, n, n))
            bound = (rounding.rounded(a) @ rounding.rounded(b)).error
            terms = np.abs(a * b).sum()
            tiny = float(np.finfo(dtype).tiny)
            assert bound <= n * u * terms * (1 + 4 * n * u + 2.0**-40) + 2 * n * tiny
            assert bound >= (n - 1) * u * terms


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
def test_a_sum_is_charged_what_the_proof_asks(dtype):
    """Theorem open_sum_error of proofs/running_error.v, in fractions; the terms are so small that flushes are all."""
    u, tiny = (Fraction(x) for x in (UNIT[dtype], float(np.finfo(dtype).tiny)))
    with rounding.precision(dtype.__name__):
        for n in (2, 3, 10, 100):
            bounded = rounding.rounded([float(tiny)] * n).sum()
            gamma = (n - 2) * u / (1 - (n - 2) * u)
            inner = gamma * n * tiny + (1 + gamma) * (n - 2) * tiny
            asked = (inner + u * (n * tiny + inner)) + tiny
            assert asked <= Fraction(float(rounding.errors(bounded))) <= asked * (1 + 4 * u) + (1 + n * u) * tiny


def test_the_bound_is_reached():
    """Adding a little less than half a unit to 1 again and again rounds the same way every time."""
    terms = [1.0] + [float(np.float32(0.999 * 2.0**-24))] * 511
    with rounding.precision("float32"):
        bound = rounding.rounded(terms).sum().error
    computed = np.float32(0)
    for term in terms:
        computed = np.float32(computed + np.float32(term))
    assert 0.99 * bound < abs(float(computed) - sum(terms)) <= bound


@pytest.mark.parametrize("power", [-20, -1, 0, 1, 30])
def test_scaling_by_a_power_of_two_is_exact(rng, power):
    for x in rng.standard_normal(20):
        third = Rounded(x) / 3
        assert (Rounded(x) * 2.0**power).error == 0 and (Rounded(x) / 2.0**power).error == 0
        assert (third * 2.0**power).error == third.error * 2.0**power
        assert (third / 2.0**power).error == third.error / 2.0**power


def test_scaling_into_the_subnormal_range_may_be_flushed():
    with rounding.precision("float32"):
        assert (Rounded(1.0) * 2.0**-130).error >= 2.0**-130
        assert (Rounded(1.0) / 2.0**130).error >= 2.0**-130
        assert (Rounded(1.5 * 2.0**-126) - Rounded(2.0**-126)).error >= 2.0**-127
    underflow = Rounded(1e-200) * 1e-200
    assert underflow.v == 0 and underflow.error > 1e-400 and not underflow.is_zero()


def test_exact_zeros_stay_exact():
    x = Rounded(3.0) / 7
    for zero in (x * 0, 0 * x, Rounded(0.0) / x, Rounded(0.0).sqrt(), -Rounded(0.0), Rounded(0.0) ** 3):
        assert zero.is_zero() and zero.error == 0
    assert (x + 0).error == x.error and (0 + x).error == x.error and (x - 0).error == x.error
    assert not (x - x).is_zero() and (x - x).error > 0  # one of the two may have been computed differently


def test_constants_are_exact_only_where_the_format_has_them():
    for value, float32, float64 in (
        (3, True, True),
        (0.5, True, True),
        (2**24 + 1, False, True),
        (0.1, False, True),
        (Fraction(1, 10), False, False),
        (2.0**-140, False, True),
        (0, True, True),
    ):
        for dtype, is_exact in (("float32", float32), ("float64", float64)):
            with rounding.precision(dtype):
                constant = Rounded.from_number(value)
                assert (constant.error == 0) == is_exact, (value, dtype)
                assert abs(Fraction(float(np.dtype(dtype).type(value))) - Fraction(value)) <= Fraction(constant.error)
    assert Rounded.pi().error >= abs(math.pi - 3.14159265358979323846) > -1 and Rounded.pi().error > 0


@pytest.mark.parametrize(
    "decide",
    [
        lambda x: x > 0,
        lambda x: x <= 0,
        lambda x: 1 / x,
        lambda x: x.log(),
        lambda x: x.sqrt(),
        lambda x: x.rsqrt(),
        lambda x: (x - 1).log1p(),
    ],
    ids=["gt", "le", "quotient", "log", "sqrt", "rsqrt", "log1p"],
)
def test_what_an_error_leaves_undecided_raises(decide):
    for undecided in (Rounded(1.0, 0.9), Rounded(0.0, 1e-20), Rounded(1e-9, 1e-9), Rounded(1.0) / 3 * 3 - 1):
        with pytest.raises(NeedMorePrecision):
            decide(undecided)
    decide(Rounded(2.0, 0.01))


def test_signs_are_decided_at_zero_and_away_from_it():
    assert Rounded(1e-300) > 0 and not Rounded(0.0) > 0 and not Rounded(-1.0, 0.4) > 0
    assert Rounded(0.0) <= 0 and Rounded(1.0) > Rounded(0.5) and Rounded(0.5) <= 1


def test_huge_arguments_neither_overflow_nor_lose_their_bound():
    far = Rounded(-1e200) * 3
    for name, value, most in (
        ("exp", 0.0, 1e-300),
        ("logistic", 0.0, 1e-15),
        ("tanh", -1.0, 1e-15),
        ("erf", -1.0, 1e-15),
        ("erfc", 2.0, 1e-14),
    ):
        y = getattr(far, name)()
        assert y.v == value and 0 < y.error <= most, name
    assert not (-far).exp().is_finite()


def test_precision_is_restored(rng):
    before = (Rounded(1.0) / 3).error
    with rounding.precision("float32"):
        assert (Rounded(1.0) / 3).error > 1e-9
        with rounding.precision("float64"):
            assert (Rounded(1.0) / 3).error == before
    assert (Rounded(1.0) / 3).error == before


def test_values_and_errors_are_arrays_of_float64(rng):
    inputs = normal(rng, (5, 3), (11, 3), (7, 11), (7,))
    y, _ = nested_linear_forward(*map(rounding.rounded, inputs), 4)
    assert np.allclose(rounding.values(y), nested_linear_forward(*inputs, 4)[0], rtol=1e-12)
    assert rounding.values(y).dtype == rounding.errors(y).dtype == np.float64 and (rounding.errors(y) > 0).all()
