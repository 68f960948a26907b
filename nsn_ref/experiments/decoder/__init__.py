"""A byte-level decoder from random weights to every rank: trained, adapted by surgery, fine-tuned, measured."""
