"""Side-by-side benchmarks: whole training steps and single operations, against other engines and against ourselves.

Every engine works in a process of its own (`worker`, driven by `process`), all with as many threads. `paired` checks
that they compute the same and then lets them take turns. A benchmark is a module with ``run(plan)``, which returns what
JSON can hold, and ``tables(record)``; `names` lists them.
"""
