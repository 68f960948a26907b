"""Hugging Face model folders, in and out. A folder is data: nothing in it is executed and no pickle is opened."""

from nsn_ref.hf.config import read_config
from nsn_ref.hf.read import read_model
from nsn_ref.hf.write import write_model

__all__ = ["read_config", "read_model", "write_model"]
