"""A service on a private bus that really transcribes files, with the bundled model."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from coldvoxd.core.settings import ModelSettings
from coldvoxd.core.values import EngineStatus, Precision
from coldvoxd.engines.parakeet.recognizer import ParakeetRecognizer
from coldvoxd.files.jobs import JOBS_IN_ALL, FileJobs
from coldvoxd.models import find_model
from coldvoxd.models.decoding_options import decoding_options_of
from coldvoxd.recognition.backends import Backends
from coldvoxd.recognition.dispatcher import Dispatcher
from coldvoxd.recognition.supervisor import Supervisor
from coldvoxd.vad.silero import SileroDetector
from tests.support.bus.private_bus import PrivateBus, RunningService, running_service
from tests.support.eventually import eventually


@asynccontextmanager
async def transcribing(bus: PrivateBus, *, most_jobs: int = JOBS_IN_ALL) -> AsyncIterator[RunningService]:
    """Run the service with real file jobs; at its end no caller is watched any more."""
    switch = Dispatcher(_make, ModelSettings())
    await switch.load()
    jobs = FileJobs(switch, SileroDetector, most_jobs=most_jobs)
    async with running_service(bus, files=jobs) as running:
        jobs.announce_to(running.announcer)
        yield running
        jobs.close()
        await eventually(lambda: not running.service._file_calls._owners, what="the end of all jobs")
    switch.close()


def _make(_: ModelSettings, on_change: Callable[[], None]) -> Supervisor:
    def on_cpu() -> ParakeetRecognizer:
        options = decoding_options_of(ModelSettings(name="mini"))
        return ParakeetRecognizer.open(find_model("mini", Precision.FP32), options=options)

    return Supervisor(Backends(on_cpu), EngineStatus(), on_change)
