"""Model directories: where they are and what they hold."""

from coldvoxd.models.directories import InstalledModel, find_model, list_models

__all__ = ["InstalledModel", "find_model", "list_models"]
