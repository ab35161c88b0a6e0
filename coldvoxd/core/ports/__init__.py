"""The Protocols between coldvoxd's parts, and the values that only they use."""

from coldvoxd.core.ports.adapters import (
    BatchEncoder,
    Microphone,
    OpenedMicrophone,
    Recognizer,
    Searcher,
    SpeechDetector,
)
from coldvoxd.core.ports.controls import (
    Controls,
    DictationControl,
    EngineControl,
    FileControl,
    MicrophoneControl,
    MissingModel,
    Policy,
    ProblemSource,
    RetryControl,
)
from coldvoxd.core.ports.outputs import Announcer, FileAnnouncer, Journal

__all__ = [
    "Announcer",
    "BatchEncoder",
    "Controls",
    "DictationControl",
    "EngineControl",
    "FileAnnouncer",
    "FileControl",
    "Journal",
    "Microphone",
    "MicrophoneControl",
    "MissingModel",
    "OpenedMicrophone",
    "Policy",
    "ProblemSource",
    "Recognizer",
    "RetryControl",
    "Searcher",
    "SpeechDetector",
]
