"""The port: what runs jobs."""

from typing import Protocol

from everloop.compute.job import Job, JobState


class Engine(Protocol):
    """Runs each job to one end, however often it is asked, by whichever process asks."""

    def ensure(self, job: Job) -> JobState:
        """The job's state; it is started if it was not, or was cut short by a crash."""
