"""Golden suites: building, checking, ports."""
