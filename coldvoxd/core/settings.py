"""All settings of the daemon. The docstring of each one is its documentation, from which the reference is generated."""

from dataclasses import dataclass, field, fields

from coldvoxd.core import channels, languages, seams
from coldvoxd.core.decoding_options import COLDEST, HOTTEST, LARGEST_BEAM
from coldvoxd.core.fallback import Fallback, parse_path


@dataclass(frozen=True, slots=True)
class MicrophoneSettings:
    device: str = "default"
    """`default` follows the desktop's default source. Any other value is a microphone's name as the sound settings show it, or part of that name (`coldvoxctl devices` lists them). Without a sound server, the name of a PortAudio device. `virtual:PATH` is a simulated microphone for tests, controlled over the socket PATH."""
    channel: str = field(default="auto", metadata={"parse": channels.canonical})
    """Which channel of the microphone to use. `auto` averages the channels, and selects a single one if it carries the speech and the average is much quieter (opposite phase, or one active microphone out of eight). `mix` always averages. `left`, `right` or a number from 1 selects that channel."""
    policy: str = field(default="always", metadata={"choices": ("always", "on-demand", "idle-release")})
    """When the microphone is open. `always`: no first word is lost. `on-demand`: only during sessions. `idle-release`: from the start of a session until `idle_release_s` after its end."""
    idle_release_s: float = field(default=60.0, metadata={"min": 0.0, "max": 86_400.0})
    """With `policy = "idle-release"`: seconds for which the microphone stays open after a session."""
    bluetooth_always: bool = False
    """With `policy = "always"`: keep a Bluetooth microphone open as well. If false, it is opened on demand, because an open Bluetooth microphone switches its headset to call quality."""
    release_on_lock: bool = False
    """Close the microphone while the screen is locked. An active session ends, and its text is returned."""
    pre_roll_ms: int = field(default=1500, metadata={"min": 0, "max": 10_000})
    """If speech had already begun when StartDictation is called, include up to this many milliseconds of audio from before the call. Kept in memory only."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    threshold: float = field(default=0.5, metadata={"min": 0.05, "max": 0.95})
    """Speech probability from which a frame counts as speech. Speech ends when the probability falls 0.15 below this value."""
    onset_ms: int = field(default=64, metadata={"min": 32, "max": 1000})
    """Milliseconds of continuous speech that start an utterance."""
    hangover_ms: int = field(default=500, metadata={"min": 96, "max": 5000})
    """Milliseconds of silence that are tolerated inside an utterance. Longer silence ends it."""
    soft_pause_ms: int = field(default=128, metadata={"min": 64, "max": 5000})
    """Milliseconds of silence after which recognition starts while the hangover is still running (see `speculate` under [dictation]). It never starts before `tail_ms`, so that the same audio is recognized in both cases."""
    lead_ms: int = field(default=320, metadata={"min": 0, "max": 2000})
    """Milliseconds of audio kept from before the onset, so that initial consonants are not cut off."""
    tail_ms: int = field(default=128, metadata={"min": 0, "max": 1000})
    """Milliseconds of audio kept after the last speech."""
    min_speech_ms: int = field(default=96, metadata={"min": 32, "max": 2000})
    """Utterances with fewer milliseconds of speech are discarded as noise."""
    max_utterance_s: float = field(default=20.0, metadata={"min": 3.0, "max": 120.0})
    """Utterances longer than this many seconds are split at their quietest point. If the CPU needs more than 2.5 s for an utterance, shorter ones are split too, down to 8 s; the published models in int8 take at most 15 s."""


@dataclass(frozen=True, slots=True)
class DictationSettings:
    max_seconds: int = field(default=3600, metadata={"min": 0, "max": 86_400})
    """Seconds after which a session ends automatically. 0 disables."""
    stop_tail_ms: int = field(default=200, metadata={"min": 0, "max": 2000})
    """Maximum number of milliseconds of audio still recorded after StopDictation, because a key is often pressed before the last word is finished. Recording ends as soon as the speech does; after a pause it ends at the call."""
    single_utterance_pause_ms: int = field(default=500, metadata={"min": 500, "max": 5000})
    """Minimum number of milliseconds of silence that end a session with the option `single-utterance`. A larger `hangover_ms` (under [endpoint]) applies to these sessions as well, a smaller one does not: it would end them at a short pause for thought."""
    seam: str = field(default=seams.AUTO, metadata={"choices": (seams.AUTO, *seams.SeamMethod)})
    """How sentences continue after a pause. `state`: the model's decoder reads the session's last words before the next ones; costs almost nothing, and depends on how the model was trained. `window`: the audio before and after the pause is recognized again, together; right for any model, and costs a second short recognition. `off`: each pause ends a sentence. `auto`: the method that suits the model, without `window` where it would take more than 0.25 s. The words are the same in all cases; only capital letters and punctuation at pauses differ."""
    seam_s: float = field(default=2.5, metadata={"min": 0.0, "max": 60.0})
    """Seconds without speech after which a new sentence begins in any case."""
    language: str = field(default=languages.AUTO, metadata={"parse": languages.parse_setting})
    """Language that is dictated, and spoken in files, by its code of two letters, such as `de`; `auto` lets the model recognize whichever it hears. For multilingual models, such as parakeet-tdt-0.6b-v3; `coldvoxctl status` lists the codes of the loaded one. `language_means` under [model] says what it changes. Its effect on the published weights has not been measured. A session, a retry and a file can select another one (`--language`)."""
    partials: bool = False
    """Publish the words of an utterance while it is still being spoken, in every session (the signal PartialTranscribed; `coldvoxctl listen --partials` shows them). The growing utterance is recognized repeatedly, which takes up to half of the time, and less on battery power. The final texts are the same and are not later. If false, only for sessions that were started with the option `partials`."""
    speculate: bool = True
    """Start recognition at the first sign of a pause (`soft_pause_ms` under [endpoint]), so that the text is ready when the hangover ends. If speech continues, that run is discarded. If false, recognition starts at the endpoint. The text is the same in both cases."""
    speculate_share: float = field(default=1.0, metadata={"min": 0.0, "max": 10.0})
    """How much recognition time `speculate` may discard, as a share of the recognition time that produced texts. Above it, recognition starts at the endpoint until the share is met again."""
    speculate_share_on_battery: float = field(default=0.25, metadata={"min": 0.0, "max": 10.0})
    """The same while the machine runs on battery power, as reported by UPower."""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    name: str = "parakeet-tdt-0.6b-v2"
    """Name of a model, searched for in the cache, in the XDG data directories and in the package (`mini`), or the path of a model directory."""
    precision: str = field(default="auto", metadata={"choices": ("auto", "fp32", "fp16", "int8")})
    """Precision of the model's weights. `auto`: fp16 on an accelerator if that form has been built (`coldvoxctl model prepare --precision fp16`), otherwise fp32; the CPU always uses fp32. A fixed value applies to both; `int8` takes a quarter of the memory and may recognize some words differently. The property `Precision` of Engine1 reports the precision in use."""
    language_means: str = field(
        default=languages.LanguageMeans.BOTH, metadata={"choices": tuple(languages.LanguageMeans)}
    )
    """How a selected `language` is imposed on a multilingual model. `token`: the model's decoder reads the token of the language before each utterance; whether that helps depends on how the model was trained, and was not tried with the published weights. `script`: words in letters of another alphabet (Latin, Cyrillic or Greek) are excluded, so `ru` never gives Latin letters and `en` never Cyrillic ones; it does not tell languages of one alphabet apart. `both`: the token and the script."""
    fetch: bool = True
    """If the model is missing and is a published one, download it with the unit coldvoxd-model.service (the daemon itself has no network access). If false, nothing is downloaded until you run `coldvoxctl model pull`."""
    fallback: str = field(default=Fallback.OFF, metadata={"choices": tuple(Fallback)})
    """Engine that recognizes while the model is missing, invalid or larger than the free memory, until the model can be loaded. `whisper`: whisper.cpp, needs the extra `whisper`. `vosk`: Vosk, needs the extra `vosk`; its texts have no capital letters and no punctuation. `off`: nothing is recognized meanwhile."""
    fallback_model: str = field(default="", metadata={"parse": parse_path})
    """Path of the fallback engine's model: a ggml file for `whisper`, such as ggml-base.bin; an unpacked model directory for `vosk`. It is never downloaded."""
    provider: str = "auto"
    """ONNX Runtime execution provider. `auto` is the first of `tensorrt-rtx`, `cuda`, `openvino` and `webgpu` that this machine has, that passes the golden clip and that is faster than the CPU (`accelerator_min_speedup`), otherwise `cpu`. Others are `tensorrt`, and with their extra installed `webgpu` (any GPU with a Vulkan driver: AMD, Intel, NVIDIA; extra `vulkan`), `openvino` (Intel CPU, GPU and NPU) and `tensorrt-rtx` (NVIDIA RTX); any other provider of the installed ONNX Runtime can be named too. A device may follow after a colon: `openvino:NPU`, or a part of a GPU's name, as in `webgpu:Radeon` and `cuda:4090`. The CPU is always the fallback. `virtual:PATH` is a simulated accelerator for tests, controlled over the socket PATH."""
    accelerator_min_speedup: float = field(default=1.1, metadata={"min": 0.0, "max": 100.0})
    """With `provider = "auto"`: how many times as fast as the CPU an accelerator must be on this machine to be used, in a short trial with the golden clip. The result counts for a week, as long as model, driver, ONNX Runtime and hardware stay the same. 0 uses any accelerator that works, without a trial."""
    beam_size: int = field(default=1, metadata={"min": 1, "max": LARGEST_BEAM})
    """Number of texts that the decoder follows at once. 1 follows the most probable next token only, and is fastest. 4 saved one word error in nine with the bundled `mini`, and took nine times as long in the decoder; more than 4 gained nothing. The published models were not tried. Models of kind CTC ignore it."""
    temperature: float = field(default=0.0, metadata={"min": 0.0, "above_0": COLDEST, "max": HOTTEST})
    """Divisor of the model's scores before they become confidences: above 1, confidences are lower, below 1 higher. Changes no word. 0 uses the value of the model: 1.1 for `mini`, for which it was measured, and 1 for others unless `models.toml` has another."""
    standby: str = field(default="warm", metadata={"choices": ("warm", "mapped", "cold")})
    """How the CPU fallback is kept ready while an accelerator is in use. `warm`: loaded, answers immediately. `mapped`: opened without optimizing the graph or packing the weights; needs less memory if the weights are in a file of their own, and is slower until the packed weights are loaded. `cold`: loaded only when it is needed."""
    standby_precision: str = field(default="same", metadata={"choices": ("same", "fp32", "int8")})
    """Precision of the CPU fallback. `same`: as `precision`, which is also used if the model directory lacks the chosen one. `int8` is faster, takes a third of the memory, and may recognize some words differently than the accelerator."""
    threads: int = field(default=0, metadata={"min": 0, "max": 256})
    """Number of threads per recognition. 0 uses the number of physical cores."""
    unload_after_s: float = field(default=0.0, metadata={"min": 0.0, "max": 86_400.0})
    """Take the model out of memory this many seconds after the last session or file. The next session loads it while you speak; nothing is lost, and with a prepared form it is back within moments. 0 keeps it in memory."""
    prepare: bool = True
    """Let the unit coldvoxd-prepare.service build a form of the model's weights that this CPU maps instead of loading, if there is none and it would make a difference. It takes up to twice the disk space of the model."""
    prepared_gb: float = field(default=6.0, metadata={"min": 0.0, "max": 1000.0})
    """Maximum disk space for all prepared forms, in GB. Unused forms are deleted first. Nothing is prepared that would exceed the limit."""


@dataclass(frozen=True, slots=True)
class FileSettings:
    batch_size: int = field(default=1, metadata={"min": 1, "max": 16})
    """Maximum number of pieces of a recording file that are recognized at once, if they have similar lengths. Dictation is not affected: each utterance is recognized as soon as it ends. In fp32 and fp16 the texts are the same. More pieces need more memory; after an error, fewer are tried. Whether it is faster depends on the hardware: a large model on a CPU does not gain, and it was not tried on a GPU."""


@dataclass(frozen=True, slots=True)
class GpuSettings:
    watch: str = field(default="auto", metadata={"choices": ("auto", "always", "never")})
    """Whether to monitor the GPU's health through NVML, NVIDIA's management library. `auto`: if recognition is to run on an NVIDIA GPU. `always`: with any accelerator, including the simulated one. If the library is missing, nothing is monitored and nothing is logged."""
    look_s: float = field(default=5.0, metadata={"min": 0.05, "max": 60.0})
    """Seconds between two health checks. The GPU is also checked before each utterance, and the driver reports severe errors by itself."""
    min_free_mib: int = field(default=256, metadata={"min": 0, "max": 65_536})
    """When less GPU memory than this is free (MiB), move recognition to the CPU and release our share, before an allocation fails. Recognition returns once our share fits again with this much left free. 0 disables."""
    hot_c: int = field(default=0, metadata={"min": 0, "max": 120})
    """Temperature in degrees Celsius from which the GPU counts as overheating. 0 uses the temperature at which it throttles."""
    cool_by_c: int = field(default=8, metadata={"min": 0, "max": 50})
    """Degrees Celsius by which an overheated GPU must cool down before it is used again."""
    braked_s: float = field(default=15.0, metadata={"min": 0.0, "max": 600.0})
    """The GPU also counts as overheating after it has throttled (thermal or power) for this many seconds."""
    well_after_s: float = field(default=10.0, metadata={"min": 0.0, "max": 600.0})
    """Seconds the GPU must stay healthy before it is used again."""
    idle_release_s: float = field(default=0.0, metadata={"min": 0.0, "max": 86_400.0})
    """Release the GPU this many seconds after the last session or file, so that it can enter a low-power state. The next session starts on the CPU and moves to the GPU once the model is loaded there. 0 disables."""
    idle_renew: bool = True
    """A CUDA context keeps some GPU memory after `idle_release_s`. Re-execute the daemon to release that as well; the new process does not open the GPU until it is needed."""


@dataclass(frozen=True, slots=True)
class ReplacementSettings:
    quiet_s: float = field(default=30.0, metadata={"min": 0.1, "max": 3600.0})
    """After a fault that only a new process can clear, the daemon re-executes itself once there has been no speech and no call for a session for this many seconds."""
    cool_down_s: float = field(default=600.0, metadata={"min": 0.0, "max": 86_400.0})
    """Minimum number of seconds between two such re-executions. It triples with each consecutive one."""


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    provider: bool = True
    """Show a desktop notification when recognition moves from the accelerator to the CPU. The next one is shown only after the accelerator has been healthy for five minutes."""
    no_words: bool = True
    """Show a desktop notification when a session returns no words although speech was heard or the microphone is muted. At most one every ten seconds."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    level: str = field(default="info", metadata={"choices": ("debug", "info", "warning", "error")})
    """Minimum level of the messages written to the journal."""
    spoken_text: bool = False
    """With `level = "debug"`: also log what was said. If false, spoken text is never logged."""


@dataclass(frozen=True, slots=True)
class Settings:
    microphone: MicrophoneSettings = field(default_factory=MicrophoneSettings)
    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    dictation: DictationSettings = field(default_factory=DictationSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    files: FileSettings = field(default_factory=FileSettings)
    gpu: GpuSettings = field(default_factory=GpuSettings)
    replacement: ReplacementSettings = field(default_factory=ReplacementSettings)
    notifications: NotificationSettings = field(default_factory=NotificationSettings)
    log: LogSettings = field(default_factory=LogSettings)


def limits_of(section: type, key: str) -> tuple[float, float]:
    """Return the smallest and the largest value of a setting that is a number, given its section's class."""
    metadata = next(one.metadata for one in fields(section) if one.name == key)
    return metadata["min"], metadata["max"]
