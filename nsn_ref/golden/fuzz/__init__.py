"""Fuzzing the bounds: correct arithmetic of many kinds, written without them, must always stay inside."""
