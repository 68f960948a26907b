"""From a request to a suite: what it costs first, then its files."""

import math
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import FileError, NeedMorePrecision, OptionError
from nsn_ref.golden import build as builder
from nsn_ref.golden import schema, truth
from nsn_ref.golden.cases.case import Case, Design
from nsn_ref.golden.coverage import RATIONAL
from nsn_ref.golden.custom import cost, draw, given, linear
from nsn_ref.golden.custom import truth as matrices
from nsn_ref.golden.custom.bounds import bounds
from nsn_ref.golden.custom.certificate import exact_numbers, exact_outputs
from nsn_ref.golden.custom.requests import attributes, operations, requests

LANES = ("certified", "exact")
MOST_MULTIPLY_ADDS = 10**12  # of a linear operation that is certified
MOST_OPERATIONS = 10**8  # of any other operation, one number at a time
ATTEMPTS = 8  # draws of inputs, where a decision (a ReLU near 0) cannot be certified
FLAG = "own shape"
WHY = "A mistake that shows at these sizes: a block left out, an index or an offset that overflows, a short sum."


class Plan(NamedTuple):
    """What is to be built, and what it takes."""

    lane: str
    requests: tuple
    seed: int
    arrays: dict | None  # the inputs that were given, by name
    cost: cost.Cost  # predicted

    def __str__(self):
        made = "given" if self.arrays is not None else f"generated (seed {self.seed})"
        seconds, megabytes = self.cost.seconds, self.cost.bytes / 1e6
        return (
            f"{len(self.requests)} cases, lane {self.lane}, inputs {made}; "
            f"predicted: about {seconds:.2g} s and {megabytes:.2g} MB"
        )


def plan(op, *, shape=None, ranks=None, dtype="float32", lane=None, inputs=None, attrs=None, seed=0):
    """What a suite for one's own shape will hold, and what it will cost.

    Parameters
    ----------
    op : str
        An operation or net of the schema; a stem (`nested_linear`) means forward and backward.
    shape : dict of str to int, optional
        Sizes by the letters of golden/README.md, n (or B and T) for the leading axes; R may be left out. With `inputs`
        it may be left out altogether.
    ranks : sequence of int, optional
        One case for each at an operation with one rank.
    dtype : str
        A format: "float64", "float32", "tf32", "bfloat16", "float16" or "bfloat16_master".
    lane : str, optional
        "certified" or "exact". Default: certified where it is feasible, else exact.
    inputs : str, Path or dict of str to ndarray, optional
        A safetensors or npz file, or its arrays. Default: generated.
    attrs : dict, optional
        Other attributes of the operation. Default: `custom.requests.DEFAULTS`.
    seed : int
        Of generated inputs.

    Returns
    -------
    Plan

    Raises
    ------
    OptionError, RankError, ShapeError, DTypeError, NonFiniteError, LabelError, FileError
    """
    if lane not in (None, *LANES):
        raise OptionError(f"golden build: unknown lane {lane!r}, expected one of {', '.join(LANES)}")
    arrays = given.read(inputs) if isinstance(inputs, (str, Path)) else inputs
    sized = dict(shape or {})
    if arrays is not None:
        sized = _sizes(op, ranks, attrs or {}, arrays, sized)
    asked = requests(op, shape=sized, ranks=ranks, dtype=dtype, attrs=attrs or {})
    if arrays is not None:
        given.refuse_unknown(asked, arrays)
        for request in asked:
            given.inputs(request, arrays)
    other = next((r.op for r in asked if r.op not in linear.OPERATIONS), None)
    if lane == "exact" and (rounding := next((r.op for r in asked if not _may_be_exact(r.op)), None)):
        raise OptionError(f"golden build: {rounding} has no exact lane here: it is a net, irrational or a quotient")
    chosen = lane or "certified"
    costs = [_cost(request, chosen, arrays, seed) for request in asked]
    if why := _too_large(asked, costs, chosen):
        if lane or other:
            raise OptionError(why)
        chosen = "exact"
        costs = [_cost(request, chosen, arrays, seed) for request in asked]
    return Plan(chosen, tuple(asked), seed, arrays, cost.Cost(*map(sum, zip(*costs, strict=True))))


def _may_be_exact(op):
    return op.startswith(RATIONAL) and not schema.operation(op).layout


def _sizes(op, ranks, attrs, arrays, shape):
    """The sizes of given inputs; sizes that are asked for must be the same."""
    found = {}
    for name in operations(op):
        for given_attrs in attributes(name, ranks, attrs, shape):
            found |= given.sizes(name, given_attrs, arrays)
    for letter, size in shape.items():
        if found.setdefault(letter, size) != size:
            raise OptionError(f"golden build: --shape has {letter} = {size}, --inputs has {found[letter]}")
    return found


def _cost(request, lane, arrays, seed):
    if request.op in linear.OPERATIONS:
        return cost.of_matrices(request, _placeholders(request), lane)
    elements = sum(math.prod(x.shape) for x in _placeholders(request).values())
    if elements > MOST_OPERATIONS:  # too many to count what is done with them
        return cost.Cost(elements, math.inf, elements)
    return cost.of_numbers(request, _inputs(request, arrays, seed))


def _too_large(asked, costs, lane):
    """Why a lane is not feasible, or None."""
    for request, needed in zip(asked, costs, strict=True):
        matrices_only = request.op in linear.OPERATIONS
        most, what = (MOST_MULTIPLY_ADDS, "multiply-adds") if matrices_only else (MOST_OPERATIONS, "operations")
        if matrices_only and lane == "exact":
            continue
        if needed.operations > most:
            offer = (
                "--lane exact has no such limit" if matrices_only else "only linear layers have none, with --lane exact"
            )
            size = f"about {needed.operations:.2g} {what}, at most {most:.2g}"
            return f"golden build: {request.op} of this shape is too large to certify: {size}; {offer}"
    return None


def _placeholders(request):
    """Arrays with the shapes and dtypes of the inputs, and no memory."""
    return {
        name: np.broadcast_to(np.zeros((), schema.stored_as(t, request.dtype)), request.shape(t))
        for name, t in request.tensors("inputs").items()
    }


def _inputs(request, arrays, seed, attempt=0):
    if arrays is not None:
        return given.inputs(request, arrays)
    return draw.real(request, np.random.default_rng([seed, attempt, *_case(request, "certified").id.encode()]))


def _case(request, lane):
    return Case(request.dtype, Design(request.op, request.name, lane, request.attrs, None, FLAG, WHY))


# --- building ---------------------------------------------------------------------------------------------------------


def build(plan, *, progress=lambda requests: requests):
    """The files of a plan's suite.

    Returns
    -------
    dict of str to bytes
        By file name, for `write`.

    Raises
    ------
    NeedMorePrecision
        Given inputs on which a decision cannot be certified, or which are not exact; generated ones after 8 draws.
    """
    return builder.assemble(_computed(plan, request) for request in progress(plan.requests))


def _computed(plan, request):
    """A case with its inputs, truth and bounds, in the order of the schema."""
    case = _case(request, plan.lane)
    inputs, expected, errors = _exact(plan, request) if plan.lane == "exact" else _certified(plan, request)
    names = list(request.tensors("outputs"))
    return case, inputs, {name: expected[name] for name in names}, {name: errors[name] for name in names}


def _exact(plan, request):
    of_matrices = request.op in linear.OPERATIONS
    if plan.arrays is None:
        rng = np.random.default_rng([plan.seed, *_case(request, "exact").id.encode()])
        inputs, expected = (draw.integers if of_matrices else draw.small_integers)(request, rng)
    else:
        inputs = given.inputs(request, plan.arrays)
        certified = exact_outputs if of_matrices else exact_numbers
        expected = certified(request.op, request.dtype, inputs, request.attrs)
    return inputs, expected, {name: np.zeros(x.shape) for name, x in expected.items()}


def _certified(plan, request):
    for attempt in range(ATTEMPTS):
        inputs = _inputs(request, plan.arrays, plan.seed, attempt)
        try:
            return inputs, *_truth(request, inputs)
        except NeedMorePrecision as undecided:
            why = undecided
            if plan.arrays is not None:
                break
    raise NeedMorePrecision(f"golden build: {request.op} cannot be certified on these inputs: {why}")


def _truth(request, inputs):
    op, dtype, attrs = request.op, request.dtype, request.attrs
    if op not in linear.OPERATIONS:
        expected = truth.expected(op, inputs, attrs)
        return expected, truth.bounds(op, "certified", dtype, inputs, attrs, expected)
    expected = matrices.expected(op, inputs, attrs)
    errors = bounds(op, dtype, inputs, attrs)
    return expected, {name: truth.around(expected[name], e) for name, e in errors.items()}


def write(contents, out):
    """Write a suite to a folder that is new or empty; if that fails, nothing is left behind.

    Raises
    ------
    FileError
    """
    out = Path(out)
    check_new(out)
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        builder.write(contents, partial)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, FileError):
            raise FileError(f"{out}: cannot be written: {error.strerror}") from None
        raise


def check_new(out):
    """Refuse a folder that holds something.

    Raises
    ------
    FileError
    """
    out = Path(out)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise FileError(f"{out}: exists already, expected a new or an empty folder")


def build_cases(op, out, **options):
    """Plan, build and write a suite: `plan`'s arguments, and the folder.

    Returns
    -------
    Plan
        What has been built.
    """
    check_new(out)
    planned = plan(op, **options)
    write(build(planned), out)
    return planned
