"""Contracts: what a format promises by default, and what a port may declare instead."""

from dataclasses import FrozenInstanceError

import ml_dtypes
import numpy as np
import pytest

from nsn_ref.certify.formats import FORMATS, named
from nsn_ref.errors import OptionError
from nsn_ref.golden import contracts

NUMPY = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}


@pytest.mark.parametrize("name", NUMPY)
def test_formats_are_those_of_the_types(name):
    info = ml_dtypes.finfo(NUMPY[name])
    f = FORMATS[name]
    assert (f.bits, f.lowest) == (info.nmant + 1, info.minexp)
    assert f.unit_roundoff == float(info.eps) / 2 and f.smallest_normal == float(info.smallest_normal)
    assert f.half_quantum == float(info.smallest_subnormal) / 2 or name == "float64"  # there it is no float64
    assert 2.0**f.highest <= float(info.max) and float(info.max) / 2 < 2.0**f.highest


@pytest.mark.parametrize("name", NUMPY)
def test_a_format_holds_what_its_type_does(name, rng):
    f, kind = FORMATS[name], NUMPY[name]
    info = ml_dtypes.finfo(kind)
    values = rng.choice([-1, 1], 400) * 2.0 ** rng.integers(-20, 15, 400) * (1 + rng.integers(0, 16, 400) / 16)
    for value in [*values, *values.astype(kind).astype(float), 0.0, float(info.max)]:
        stored = float(kind(value))
        assert f.holds(value) == (stored == value and (value == 0 or abs(value) >= info.smallest_normal)), value
    assert not f.holds(float("inf")) and not f.holds(float("nan"))


def test_tf32_operands_may_be_cut_off():
    assert named("tf32").unit_roundoff == 2.0**-10
    with pytest.raises(OptionError, match="unknown format 'float8'"):
        named("float8")


def test_the_defaults_name_formats_and_cannot_be_changed():
    for name, contract in contracts.DEFAULTS.items():
        assert contract.name == name and contracts.default(name) is contract
        assert contract.to_json() == contract.to_json() | {
            field: getattr(contract, field) for field in contract.to_json()
        }
        assert all(getattr(contract, field) in FORMATS for field in contracts.FORMAT_FIELDS)
        assert str(contract).startswith(f"{name}: storage ")
        with pytest.raises(FrozenInstanceError):
            contract.ulps = 3


@pytest.mark.parametrize(
    "field, value, looser",
    [
        ("batch_sum", "bfloat16", True),
        ("batch_sum", "float64", False),
        ("accumulator", "tf32", True),
        ("elementwise", "float32", False),
        ("elementwise", "float16", True),  # more bits, but numbers below 2^-14 are not normal
        ("ulps", 9, True),
        ("ulps", 2, False),
        ("truncating", False, False),
        ("merged_weights", False, False),
        ("flush_to_zero", False, False),
    ],
)
def test_a_looser_contract_is_noticed(field, value, looser):
    default = contracts.default("bfloat16")
    own = contracts.for_port("bfloat16", {field: value})
    assert getattr(own, field) == value
    assert own.looser_than(default) == looser
    assert own.loosened(default) == ([field] if looser else [])


def test_float16_is_not_flushed_unless_declared():
    own = contracts.for_port("float16", {"flush_to_zero": True})
    assert own.loosened(contracts.default("float16")) == ["flush_to_zero"]


def test_nothing_declared_is_the_default():
    for name, contract in contracts.DEFAULTS.items():
        assert contracts.for_port(name) == contracts.for_port(name, {}) == contract
        assert not contract.looser_than(contract)


@pytest.mark.parametrize(
    "dtype, overrides, message",
    [
        ("float8", {}, "unknown contract 'float8', expected one of float64"),
        ("float32", {"speed": "fast"}, "contract of float32 has no field 'speed' to set, expected one of operand"),
        ("float32", {"storage": "float16"}, "has no field 'storage' to set"),
        ("float32", {"operand": "tf16"}, "operand is 'tf16', expected one of float64"),
        ("float32", {"ulps": 0}, "ulps is 0, expected 1..64"),
        ("float32", {"ulps": 8.0}, r"ulps is 8.0 \(float\), expected int"),
        ("float32", {"truncating": 1}, r"truncating is 1 \(int\), expected bool"),
        ("float32", ["operand"], "contract of float32 is a list, expected a dict of fields"),
    ],
)
def test_what_is_no_contract_is_refused(dtype, overrides, message):
    with pytest.raises(OptionError, match=message):
        contracts.for_port(dtype, overrides)
