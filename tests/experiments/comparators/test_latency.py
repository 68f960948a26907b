"""Times of calls."""

from nsn_ref.experiments.comparators import latency


def test_the_best_mean_counts(monkeypatch):
    """Three means of two calls: 8 / 2, 3 / 2 and 5 / 2 seconds."""
    clock = iter([0, 8, 10, 13, 20, 25])
    monkeypatch.setattr(latency.time, "perf_counter", lambda: next(clock))
    seen = []
    assert latency.seconds(seen.append, "x", calls=2, repeats=3) == 1.5
    assert seen == ["x"] * 6
