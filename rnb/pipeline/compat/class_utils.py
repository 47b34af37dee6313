"""snuspl/rnb's `utils.class_utils` module."""

from rnb.pipeline.importer import import_class as load_class

__all__ = ["load_class"]
