"""The error of every command of this package."""


class TrainingError(Exception):
    """A file, setting or measurement is invalid. The text names it and the allowed values."""
