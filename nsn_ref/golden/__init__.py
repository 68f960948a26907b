"""The golden suite: cases, correctly rounded truth, derived bounds, ports and the checker.

`build` writes the suite, `suite` reads it, `ports` loads what is to be checked, `check` judges it. `schema` is the one
table of operations that all of them, and golden/README.md, go by.
"""
