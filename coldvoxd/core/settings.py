"""Every setting of the daemon, each documented where it stands: the README's table is made from this file."""

from dataclasses import dataclass, field

from coldvoxd.core import channels


@dataclass(frozen=True, slots=True)
class MicrophoneSettings:
    device: str = "default"
    """`default` follows the desktop's default source; otherwise a microphone's name as the sound settings show it, or part of it (`coldvoxctl devices` lists them). Where no sound server runs, a PortAudio device. `virtual:PATH` is the shipped stand-in, commanded over the socket PATH."""
    channel: str = field(default="auto", metadata={"parse": channels.canonical})
    """Which of the microphone's channels to hear: `auto` averages them, and takes one channel where it holds the speech and the average is far below it (opposite phases, one microphone of eight); `mix` always averages; `left`, `right` or a number from 1 takes that channel."""
    policy: str = field(default="always", metadata={"choices": ("always", "on-demand", "idle-release")})
    """When the microphone is open: `always`, so that no first word is lost; `on-demand`, during sessions alone; `idle-release`, from a session on until `idle_release_s` after it."""
    idle_release_s: float = field(default=60.0, metadata={"min": 0.0, "max": 86_400.0})
    """With `policy = "idle-release"`: how long after a session the microphone stays open."""
    bluetooth_always: bool = False
    """With `policy = "always"`: keep a Bluetooth microphone open too. Off, it is opened on demand, since an open one holds its headset in call quality."""
    release_on_lock: bool = False
    """Close the microphone while the screen is locked; a session that runs ends with its text."""
    pre_roll_ms: int = field(default=1500, metadata={"min": 0, "max": 10_000})
    """How far a session may reach back before StartDictation where speech had already begun. Kept in memory only."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    threshold: float = field(default=0.5, metadata={"min": 0.05, "max": 0.95})
    """Speech probability from which a frame counts as speech; 0.15 below it speech counts as ended."""
    onset_ms: int = field(default=64, metadata={"min": 32, "max": 1000})
    """Speech that must follow on itself before an utterance begins."""
    hangover_ms: int = field(default=500, metadata={"min": 96, "max": 5000})
    """Silence tolerated inside an utterance; more of it ends the utterance."""
    soft_pause_ms: int = field(default=128, metadata={"min": 64, "max": 5000})
    """Silence after which recognition begins while the hangover still runs (`speculate` under [dictation]). Never sooner than `tail_ms`, so that the same audio is recognized either way."""
    lead_ms: int = field(default=320, metadata={"min": 0, "max": 2000})
    """Audio kept from before the onset, so that first consonants survive."""
    tail_ms: int = field(default=128, metadata={"min": 0, "max": 1000})
    """Audio kept after the last speech."""
    min_speech_ms: int = field(default=96, metadata={"min": 32, "max": 2000})
    """Utterances with less speech in them than this are dropped as noise."""
    max_utterance_s: float = field(default=20.0, metadata={"min": 3.0, "max": 120.0})
    """Longer utterances are cut at their quietest place; where the CPU would take more than 2.5 s for one, shorter ones too, down to 8 s."""


@dataclass(frozen=True, slots=True)
class DictationSettings:
    max_seconds: int = field(default=3600, metadata={"min": 0, "max": 86_400})
    """A session ends by itself after so long; 0 for never."""
    stop_tail_ms: int = field(default=200, metadata={"min": 0, "max": 2000})
    """Audio still heard after StopDictation: fingers are faster than tongues."""
    speculate: bool = True
    """Begin to recognize at the first sign of a pause (`soft_pause_ms` under [endpoint]), so that the text is there when the hangover has passed; where speech goes on, the run is stopped. Off, recognition begins at the endpoint. The text is the same."""
    speculate_share: float = field(default=1.0, metadata={"min": 0.0, "max": 10.0})
    """How much recognition may be in vain for that, as a share of the recognition that gave texts; past it, recognition begins at the endpoint until the share is kept again."""
    speculate_share_on_battery: float = field(default=0.25, metadata={"min": 0.0, "max": 10.0})
    """The same while the machine runs on its battery, by what UPower says."""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    name: str = "parakeet-tdt-0.6b-v2"
    """A model's name, searched in the cache, in the XDG data directories and in the package (`mini`), or the path of a model directory."""
    precision: str = field(default="auto", metadata={"choices": ("auto", "fp32", "fp16", "int8")})
    """In which precision the model runs: `auto` is fp16 on an accelerator where that form was made (`coldvoxctl model prepare --precision fp16`) and fp32 otherwise and on the CPU. Or name one, for both: `int8` takes a quarter of the memory, and may hear a word differently. `Precision` of Engine1 tells what really runs."""
    fetch: bool = True
    """Where the model is missing and published, have it fetched by the unit coldvoxd-model.service (the daemon itself has no network). Off, nothing is fetched until you type `coldvoxctl model pull`."""
    provider: str = "auto"
    """ONNX Runtime execution provider: `auto` is `cuda` where there is an NVIDIA driver and otherwise `cpu`; or name one that the installed ONNX Runtime offers. Whatever it is, the CPU stands by. `virtual:PATH` is the shipped stand-in, which fails as it is told over the socket PATH."""
    standby: str = field(default="warm", metadata={"choices": ("warm", "mapped", "cold")})
    """How the CPU stands by while an accelerator serves: `warm` is loaded and answers at once; `mapped` is opened without optimizing the graph or packing its weights, which takes less memory where they lie in a file of their own, and is slower until what is packed has been loaded; `cold` is loaded when it is needed."""
    standby_precision: str = field(default="same", metadata={"choices": ("same", "fp32", "int8")})
    """In which precision the CPU stands by and takes over: `same` as `precision`; what the model directory lacks is replaced by `precision`. `int8` answers sooner and takes a third of the memory, and may hear a word differently than the accelerator did."""
    threads: int = field(default=0, metadata={"min": 0, "max": 256})
    """Threads of one recognition; 0 for as many as there are physical cores."""
    prepare: bool = True
    """Have the unit coldvoxd-prepare.service write a form of the model's weights that this CPU maps instead of loading, where there is none and it would be felt. It takes up to twice as much of the disk as the model."""
    prepared_gb: float = field(default=6.0, metadata={"min": 0.0, "max": 1000.0})
    """How much of the disk prepared forms may take together, in GB; what is not in use goes first, and nothing is prepared that would take more."""


@dataclass(frozen=True, slots=True)
class GpuSettings:
    watch: str = field(default="auto", metadata={"choices": ("auto", "always", "never")})
    """Whether the health of the graphics card is watched through NVIDIA's management library: `auto` where recognition is wanted on an NVIDIA card, `always` beside any accelerator, also the stand-in. Where there is no such library nothing is watched, and nothing is said of it."""
    look_s: float = field(default=5.0, metadata={"min": 0.05, "max": 60.0})
    """How often it is looked at. It is also looked at before each utterance, and severe errors are told by the driver itself."""
    min_free_mib: int = field(default=256, metadata={"min": 0, "max": 65_536})
    """With less memory free on the card (MiB) recognition goes on on the CPU and gives up its own part, before something fails; it comes back once its own part fits again beside that much. 0 for never."""
    hot_c: int = field(default=0, metadata={"min": 0, "max": 120})
    """Degrees Celsius from which the card counts as overheating; 0 for those from which it slows itself down."""
    cool_by_c: int = field(default=8, metadata={"min": 0, "max": 50})
    """It must be so much cooler before it is used again."""
    braked_s: float = field(default=15.0, metadata={"min": 0.0, "max": 600.0})
    """The card also counts as overheating when its hardware has held its clocks down for so long, for heat or for power."""
    well_after_s: float = field(default=10.0, metadata={"min": 0.0, "max": 600.0})
    """All must have been well for so long before the card is tried again."""
    idle_release_s: float = field(default=0.0, metadata={"min": 0.0, "max": 86_400.0})
    """So long after the last session, or file, the card's memory is given back and the card is left alone, so that it can sleep; the next session begins on the CPU and goes on on the card once it is loaded. 0 for never."""
    idle_renew: bool = True
    """What a CUDA context keeps of the card after that goes with the process: put a new one in its place, which leaves the card alone until it is needed."""


@dataclass(frozen=True, slots=True)
class ReplacementSettings:
    quiet_s: float = field(default=30.0, metadata={"min": 0.1, "max": 3600.0})
    """After a fault that only a new process can mend, the daemon puts one in its own place once nobody has spoken or called for a session for so long."""
    cool_down_s: float = field(default=600.0, metadata={"min": 0.0, "max": 86_400.0})
    """Least time between two such replacements; it triples with each that follows on another."""


@dataclass(frozen=True, slots=True)
class NotificationSettings:
    provider: bool = True
    """A desktop notification when recognition had to leave the accelerator for the CPU, and no second one until it has been well again for five minutes."""
    no_words: bool = True
    """A desktop notification when a session gave no words though speech was heard or the microphone is muted, at most one in ten seconds."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    level: str = field(default="info", metadata={"choices": ("debug", "info", "warning", "error")})
    """What is written to the journal."""
    spoken_text: bool = False
    """With `level = "debug"`: also write what was said. Off, no spoken text is ever logged."""


@dataclass(frozen=True, slots=True)
class Settings:
    microphone: MicrophoneSettings = field(default_factory=MicrophoneSettings)
    endpoint: EndpointSettings = field(default_factory=EndpointSettings)
    dictation: DictationSettings = field(default_factory=DictationSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    gpu: GpuSettings = field(default_factory=GpuSettings)
    replacement: ReplacementSettings = field(default_factory=ReplacementSettings)
    notifications: NotificationSettings = field(default_factory=NotificationSettings)
    log: LogSettings = field(default_factory=LogSettings)
