"""Makes sentences of messages, and joins them. Pure."""

_OPENINGS = frozenset({"a", "an", "audio", "it", "its", "no", "the", "there", "this", "values"})
"""Words that a sentence capitalizes. Any other first word may be a name, as of a program or file, and stays as it is."""


def sentence(text: str) -> str:
    """The text as a sentence: an opening word is capitalized, and a full stop ends it. An empty text stays empty."""
    text = text.strip()
    if not text:
        return ""
    opening = text.partition(" ")[0]
    if opening in _OPENINGS:
        text = f"{opening.capitalize()}{text.removeprefix(opening)}"
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def sentences(*texts: str) -> str:
    """Join texts, each as a sentence; empty ones are left out."""
    return " ".join(filter(None, map(sentence, texts)))


def clause(text: str) -> str:
    """The text without its full stop, for use within another sentence."""
    return text.strip().removesuffix(".")
