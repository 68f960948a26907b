"""Loss and training of decoders: labels that predict the next token, the objective at several ranks, runs."""

import math

import numpy as np
import pytest
from decoders import OPTIONS, decoder, tokens_of
from helpers import assert_gradient, random_params

from nsn_ref.errors import DTypeError, LabelError, OptionError, ShapeError
from nsn_ref.nets.loss_and_grads import loss_and_grads
from nsn_ref.training.config import TrainConfig
from nsn_ref.training.loop import train
from nsn_ref.training.run import load_run

REGULARISERS = {"hard_orthogonality": 0.5, "residual_orthogonality": 0.25, "logits": 1.5}


def test_the_loss_is_that_of_the_next_token(rng):
    net = decoder("gpt_neox")
    params, tokens = random_params(rng, net), tokens_of(rng, net, 3, 5)
    labels = np.where(rng.random((3, 5)) < 0.5, -100, tokens)
    labels[:, 2] = tokens[:, 2]
    z, _ = net.forward(params, tokens, 2)
    terms = [
        math.log(sum(math.exp(x) for x in z[i, t - 1])) - z[i, t - 1, labels[i, t]]
        for i in range(3)
        for t in range(1, 5)
        if labels[i, t] != -100
    ]
    out = loss_and_grads(net, params, tokens, labels, [2])
    assert out.losses[0] == pytest.approx(sum(terms) / len(terms), rel=1e-14)
    assert out.dx is None


@pytest.mark.parametrize("name", OPTIONS)
def test_every_gradient_of_the_objective_agrees_with_the_complex_step(rng, name):
    net = decoder(name)
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    labels = tokens.copy()
    labels[0, 1] = -100
    names, ranks = list(params), [net.R, 2, tuple(layer.R - 1 for layer in net.nested_layers)]

    def forward(*values):
        given = dict(zip(names, values, strict=True))
        out = loss_and_grads(net, given, tokens, labels, ranks, regularisers=REGULARISERS)
        return out.total, out.grads

    def backward(dtotal, grads):
        return tuple(dtotal * grads[key] for key in names)

    assert_gradient(forward, backward, [params[key] for key in names], rng)


def test_ranks_of_layers_share_the_log_variance_of_the_largest(rng):
    net = decoder("gpt_neox")
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    keys = [layer.key for layer in net.nested_layers]
    out = loss_and_grads(net, params, tokens, tokens, [7, dict(zip(keys, (2, 5, 1, 3), strict=True))])
    assert np.flatnonzero(out.grads["s"]).tolist() == [4, 6]


def test_a_plain_decoder_has_no_log_variances(rng):
    net = decoder("qwen2", nested=())
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    out = loss_and_grads(net, params, tokens, tokens, [1])
    assert out.grads.keys() == params.keys() and "s" not in params
    assert out.total == out.losses[0]


def test_targets_that_do_not_fit_are_named(rng):
    net = decoder("qwen2")
    params, tokens = random_params(rng, net), tokens_of(rng, net)
    for error, message, labels, options in (
        (DTypeError, "targets has dtype float64, expected an ndarray of integers", tokens * 1.0, {}),
        (ShapeError, r"targets has shape \(3,\), expected \(n, T\)", tokens[0], {}),
        (LabelError, "targets has no label but ignore_index = -100", tokens * 0 - 100, {}),
        (LabelError, "targets has the label 7", tokens * 0 + 7, {}),
        (OptionError, "loss is 'mean_squared_error', expected one of 'cross_entropy'", tokens,
         {"loss": "mean_squared_error"}),
        (OptionError, "regularisers has 'hidden', expected a network with activations in its chain", tokens,
         {"regularisers": {"hidden": 1.0}}),
    ):  # fmt: skip
        with pytest.raises(error, match=message):
            loss_and_grads(net, params, tokens, labels, [2], **options)
    none = np.where([[False], [True]], -100, tokens)
    for error, message, labels in (
        (ShapeError, r"train: targets has shape \(2, 2\), expected \(2, 3\)", tokens[:, :2]),
        (LabelError, r"train: targets\[1\] has no label but -100 from its second on", none),
    ):
        with pytest.raises(error, match=message):
            train(net, (tokens, labels), TrainConfig(steps=1), progress=False)


@pytest.mark.parametrize(("name", "engine"), [("gpt_neox", "reference"), ("qwen2", "numba")])
def test_training_learns_a_text_at_every_rank(name, engine):
    net = decoder(name, context=9)
    tokens = np.add.outer(np.arange(35), np.arange(9)) % 7  # each token is the one before it plus 1
    config = TrainConfig(steps=120, batch_size=16, lr=0.03, engine=engine, dtype="float64")
    run = train(net, (tokens, tokens), config, progress=False)
    assert run.metrics[0]["losses"][0] > 1.5
    for rank in (net.R, 2):
        assert loss_and_grads(net, run.params, tokens, tokens, [rank]).losses[0] < 0.5


def test_a_run_starts_from_given_parameters_and_resumes(rng, tmp_path):
    net = decoder("gpt_neo")
    tokens = tokens_of(rng, net, 8, 5)
    params = net.init(rng, np.float64)
    config = TrainConfig(steps=6, batch_size=3, dtype="float64", engine="reference", checkpoint_every=2)
    whole = train(net, (tokens, tokens), config, params=params, progress=False)
    first = loss_and_grads(net, params, tokens, tokens, [7])
    assert whole.metrics[0]["losses"] != first.losses.tolist() and whole.params.keys() == params.keys()

    def stop(record, _):
        if record["step"] == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(net, (tokens, tokens), config, params=params, out=tmp_path, progress=False, callback=stop)
    assert load_run(tmp_path).net == net
    resumed = train(net, (tokens, tokens), config, params=params, out=tmp_path, resume=True, progress=False)
    assert all((whole.params[key] == value).all() for key, value in resumed.params.items())
    other = params | {"norm.w": params["norm.w"] + 1}
    with pytest.raises(OptionError, match=r"train: data is .* as in the run to resume"):
        train(net, (tokens, tokens), config, params=other, out=tmp_path, resume=True, progress=False)


def test_parameters_to_start_from_are_checked(rng):
    net = decoder("gpt_neo")
    tokens = tokens_of(rng, net, 8, 5)
    with pytest.raises(
        ShapeError, match=r"train: params has no 'blocks.0.mlp.down.A', expected an array of shape \(7, 5\)"
    ):
        train(net, (tokens, tokens), TrainConfig(steps=1), params=decoder("gpt_neo", nested=()).init(rng))
