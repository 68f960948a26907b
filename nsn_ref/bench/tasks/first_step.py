"""Train for one step and say so."""

import numpy as np

import nsn_ref


def main():
    """One step of the smallest network of the targets."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((64, 64)).astype(np.float32), rng.integers(0, 10, 64)
    net = nsn_ref.MLP((64, 128, 128, 10), 32)
    nsn_ref.train(net, data, nsn_ref.TrainConfig(steps=1), progress=False, callback=say)


def say(record, params):
    """Tell whoever waits that the step is done."""
    print("done", flush=True)


if __name__ == "__main__":
    main()
