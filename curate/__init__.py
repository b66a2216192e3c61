"""Crossguard: curation and labelling of the training data of a detector that knows one intersection."""

__all__ = ["__version__"]

__version__ = "0.1.0"
