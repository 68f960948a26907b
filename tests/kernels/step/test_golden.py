"""The compiled step passes the golden suite's training steps."""

import pytest

from nsn_ref import kernels
from nsn_ref.golden import suite
from nsn_ref.golden.check import check
from nsn_ref.golden.evaluate.nets import mlp
from nsn_ref.golden.locate import suite_dir
from nsn_ref.golden.ports import PythonPort
from nsn_ref.kernels.step import MLPStep, adamw_rates


class Port:
    """Steps with relu through `MLPStep`; the logits, which it turns into their gradient in place, through kernels."""

    def __init__(self, threads):
        self.threads = threads

    def run(self, op, inputs, attrs):
        if op != "mlp_step" or attrs["activation"] != "relu":
            raise NotImplementedError(op)
        params, m, v = (
            {name.removeprefix(f"{group}."): x for name, x in inputs.items() if name.startswith(f"{group}.")}
            for group in ("param", "m", "v")
        )
        net, x, ranks = mlp(params, attrs), inputs["x"], attrs["ranks"]
        logits, _ = net.forward_ranks(params, x, list(ranks), ops=kernels)
        options = {name: attrs[name] for name in ("lr", "beta1", "beta2", "eps")}
        rates = [adamw_rates(attrs["t"], **options, weight_decay=decay) for decay in (attrs["weight_decay"], 0.0)]
        options = {"rows": len(x), "ranks": len(ranks), "decays": ("A", "B", "W", "b"), "threads": self.threads}
        with MLPStep(net, x.dtype, **options) as step:
            step.load(params, m, v)
            result = step.step(x, inputs["targets"], ranks, rates, objective=attrs["variant"])
            groups = {"grad": step.grads, "param": step.params, "m": step.m, "v": step.v}
            tensors = {f"{group}.{name}": x for group, arrays in groups.items() for name, x in arrays.items()}
            return {"logits": logits, "losses": result.losses, "total": x.dtype.type(result.total)} | tensors


@pytest.mark.parametrize("threads", [1, 2])
def test_the_training_steps_of_the_golden_suite(threads):
    cases = [
        case
        for case in suite.load(suite_dir())
        if case.op == "mlp_step" and case.dtype in ("float32", "float64") and case.attrs["activation"] == "relu"
    ]
    report = check(PythonPort("step", Port(threads)), cases)
    assert report.passed and report.covered == len(cases) >= 16, [r for r in report.results if r.status == "failed"]
