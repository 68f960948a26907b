"""The figures and tables of arXiv:2509.17874v1 at the scale of a CPU, and what they leave open; one module for each."""
