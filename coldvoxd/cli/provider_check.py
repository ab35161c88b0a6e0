"""Checks the name of an execution provider in the settings; loading the settings allows any."""

from coldvoxd.core.errors import ProviderUnavailable
from coldvoxd.core.sentences import sentence


def provider_fault(provider: str) -> str:
    """Why the installed ONNX Runtime has no provider of this name, as a sentence; empty if it has."""
    if provider in {"auto", "cpu"} or provider.startswith("virtual:"):  # known without loading ONNX Runtime
        return ""
    from coldvoxd.native.providers import full_name

    try:
        full_name(provider)
    except ProviderUnavailable as error:
        return sentence(str(error))
    return ""
