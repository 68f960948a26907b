"""A decoder-only transformer in which any set of linear layers is nested; families are configurations of it."""

from nsn_ref.nets.decoder.config import DecoderConfig
from nsn_ref.nets.decoder.generation import generate
from nsn_ref.nets.decoder.network import Decoder

__all__ = ["Decoder", "DecoderConfig", "generate"]
