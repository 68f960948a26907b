"""Golden vectors for one's own shapes: `plan`, then `build` and `write`; `build_cases` does all three."""

from nsn_ref.golden.custom.plans import Plan, build, build_cases, check_new, plan, write

__all__ = ["Plan", "build", "build_cases", "check_new", "plan", "write"]
