"""Weighbridge: a self-hosted traffic meter, exact to the byte."""

__version__ = "0.1.0"
