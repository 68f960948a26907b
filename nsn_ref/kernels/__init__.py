"""The fast twins of `nsn_ref.ops`: same names and signatures, compiled, float32 and float64 only."""
