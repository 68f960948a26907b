"""One training step against the pieces that it is made of, put together by hand."""

import numpy as np
import pytest
from helpers import random_params

from nsn_ref.errors import DivergedError
from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.nets.mlp import MLP
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.engines import load_engine
from nsn_ref.training.step import TrainState, start, train_step

NET = MLP((3, 5, 2), R=7)
REFERENCE = load_engine("reference")


def batch(rng, dtype=np.float64):
    return rng.standard_normal((4, 3)).astype(dtype), np.array([0, 1, 1, 0])


def test_adamw_with_groups_and_clipping(rng):
    """Weights decay, biases and log-variances do not; the log-variances have their own rate and are not clipped."""
    config = TrainConfig(steps=10, lr=0.1, lr_s=0.3, schedule="constant", clip=0.05, weight_decay=0.2, dtype="float64")
    x, targets = batch(rng)
    state = start(NET, config)._replace(params=random_params(rng, NET))  # a bias of 0 would hide its decay
    after, record = train_step(NET, config, state, x, targets, (7, 2), 10, REFERENCE)
    grads = loss_and_grads(NET, state.params, x, targets, (7, 2)).grads
    norm = np.sqrt(sum((g * g).sum() for name, g in grads.items() if name != "s"))
    assert norm > 0.05 and record.grad_norm == pytest.approx(norm, rel=1e-14)
    assert after.step == 1 and record.lr == 0.1
    for name, g in grads.items():
        g = g if name == "s" else g * 0.05 / norm
        m, v = 0.1 * g, 0.001 * g * g
        decayed = state.params[name] * (1 - 0.1 * 0.2 if name[-1] in "ABW" else 1)
        moved = (0.3 if name == "s" else 0.1) * (m / 0.1) / (np.sqrt(v / 0.001) + 1e-8)
        assert after.params[name] == pytest.approx(decayed - moved, rel=1e-12, abs=1e-13)
        assert after.m[name] == pytest.approx(m, rel=1e-12) and after.v[name] == pytest.approx(v, rel=1e-11)


def test_sgd_with_momentum_and_cosine(rng):
    config = TrainConfig(
        steps=10, lr=0.1, optimizer="sgd", momentum=0.5, weight_decay=0.2, dtype="float64", objective="sum"
    )
    x, targets = batch(rng)
    state = start(NET, config)
    first, _ = train_step(NET, config, state, x, targets, (7,), 10, REFERENCE)
    second, record = train_step(NET, config, first, x, targets, (7,), 10, REFERENCE)
    g_0, g_1 = (loss_and_grads(NET, p, x, targets, (7,), objective="sum").grads for p in (state.params, first.params))
    A_0, A_1 = (p["layers.0.A"] for p in (state.params, first.params))
    m_0 = g_0["layers.0.A"] + 0.2 * A_0
    assert pytest.approx(A_0 - 0.1 * m_0, rel=1e-12) == A_1
    assert record.lr == pytest.approx(0.1 * (1 + np.cos(np.pi / 10)) / 2, rel=1e-15)
    m_1 = 0.5 * m_0 + g_1["layers.0.A"] + 0.2 * A_1
    assert second.params["layers.0.A"] == pytest.approx(A_1 - record.lr * m_1, rel=1e-12)
    assert second.v == {} and (second.params["s"] == 0).all()


def test_the_state_given_is_not_changed(rng):
    for engine in ("reference", "numba"):
        config = TrainConfig(steps=10, objective="gradnorm", engine=engine)
        state = start(NET, config)
        before = {name: array.copy() for name, array in state.arrays().items()}
        train_step(NET, config, state, *batch(rng, np.float32), (7, 2), 10, load_engine(engine))
        assert all((state.arrays()[name] == array).all() for name, array in before.items())


def test_unused_components_keep_their_start_without_decay(rng):
    config = TrainConfig(steps=10, weight_decay=0.0, anchor=4)
    state = start(NET, config)
    after, _ = train_step(NET, config, state, *batch(rng, np.float32), (4, 2), 10, REFERENCE)
    for name, rows in (("layers.0.A", np.s_[4:]), ("layers.0.B", np.s_[:, 4:]), ("s", np.s_[[0, 2, 4, 5, 6]])):
        assert (after.params[name][rows] == state.params[name][rows]).all()


def test_state_goes_through_named_arrays(rng):
    config = TrainConfig(steps=10, objective="gradnorm")
    state, _ = train_step(NET, config, start(NET, config), *batch(rng, np.float32), (7, 2), 10, REFERENCE)
    again = TrainState.from_arrays(1, state.arrays())
    assert again.arrays().keys() == state.arrays().keys() and {"m/s", "objective/weights"} < state.arrays().keys()
    assert again.step == 1 and all((again.arrays()[name] == a).all() for name, a in state.arrays().items())


@pytest.mark.parametrize("engine", ["reference", "numba"])
@pytest.mark.parametrize("name", ["layers.1.W", "s", "layers.0.A"])
def test_what_is_not_finite_is_named_with_its_step(rng, engine, name):
    config = TrainConfig(steps=10, engine=engine)
    state = start(NET, config)._replace(step=4)
    for value in (np.nan, np.float32(3e38)):
        params = state.params | {name: np.full_like(state.params[name], value)}
        if name == "s":
            params[name] = -np.abs(params[name])
        broken = state._replace(params=params)
        with pytest.raises(DivergedError, match=r"train: diverged at step 5: "):
            train_step(NET, config, broken, *batch(rng, np.float32), (7, 2), 10, load_engine(engine))


@pytest.mark.parametrize("engine", ["reference", "numba"])
def test_a_step_too_long_is_named(rng, engine):
    config = TrainConfig(steps=10, engine=engine, optimizer="sgd", lr=1e38)
    with pytest.raises(DivergedError, match=r"train: diverged at step 1: after the update: .* has NaN or infinity"):
        train_step(NET, config, start(NET, config), 100 * batch(rng, np.float32)[0], np.array([0, 1, 1, 0]), (7, 2), 10,
                   load_engine(engine))  # fmt: skip
