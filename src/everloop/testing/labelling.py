"""What every labelling backend must do, and one in memory for tests of a team's own."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from everloop.ids import LabelTaskId
from everloop.labelling.backend import Backend, Pulled, Pushed, Returned, There
from everloop.labels import Label
from everloop_runtime.ids import digest_bytes

_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class MemoryBackend:
    """A backend that forgets everything with its process; `say` plays the person."""

    name: str = "memory"
    tasks: dict[LabelTaskId, Pushed] = field(default_factory=dict)
    answers: dict[LabelTaskId, Returned] = field(default_factory=dict)
    moves: int = 0

    def there(self) -> Mapping[LabelTaskId, There]:
        """As `Backend.there`."""
        return {task: There(task, task in self.answers) for task in self.tasks}

    def push(self, tasks: Sequence[Pushed]) -> None:
        """As `Backend.push`."""
        self.tasks.update((task.task, task) for task in tasks)

    def withdraw(self, names: Sequence[str]) -> None:
        """As `Backend.withdraw`."""
        for name in names:
            self.tasks.pop(LabelTaskId(name), None)

    def pull(self, cursor: str) -> Pulled:
        """As `Backend.pull`; the cursor counts what was said."""
        since = [a for a in self.answers.values() if int(a.version) >= int(cursor or 0)]
        return Pulled(tuple(sorted(since, key=lambda a: int(a.version))), str(self.moves))

    def say(self, task: LabelTaskId, label: Label | None, by: str = "ann") -> None:
        """Answer a task, anew where it was answered; None skips it."""
        self.moves += 1
        at = _START + timedelta(seconds=self.moves)
        name = f"answer to {task}"
        self.answers[task] = Returned(name, str(self.moves), task, label, by, at)


class BackendContract(ABC):
    """Subclass it as `Test...`, and give it a backend without tasks, and a person."""

    @abstractmethod
    def backend(self) -> Backend:
        """One without any of the tasks of before."""

    @abstractmethod
    def pushed(self, task: LabelTaskId) -> Pushed:
        """A task that the backend can show."""

    @abstractmethod
    def answer(self, backend: Backend, task: LabelTaskId) -> Label:
        """Have a person answer a task there, and tell what they said."""

    def test_tasks_are_there_until_they_are_withdrawn(self) -> None:
        """Pushed once, found, and gone when they are taken away, also when that is said twice."""
        backend, names = self.backend(), _names("stays", 3)
        backend.push([self.pushed(name) for name in names])
        there = {n: t for n, t in backend.there().items() if n in names}
        assert set(there) == set(names)
        assert not any(each.is_answered for each in there.values())
        for _ in "12":
            backend.withdraw([there[names[0]].name])
        assert set(names) & set(backend.there()) == set(names[1:])

    def test_an_answer_is_pulled_with_its_label_and_again_only_from_an_older_cursor(self) -> None:
        """What is new comes with who said it; from the newest cursor on nothing older comes."""
        backend, (first, second) = self.backend(), _names("answered", 2)
        backend.push([self.pushed(first), self.pushed(second)])
        before = backend.pull("").cursor
        said = self.answer(backend, first)
        pulled = backend.pull(before)
        (mine,) = _of(pulled.answers, [first, second])
        assert (mine.task, mine.label, mine.problem) == (first, said, None) and mine.by
        assert backend.there()[first].is_answered
        self.answer(backend, second)
        later = backend.pull(pulled.cursor)
        found = {answer.name: answer for answer in later.answers}
        assert {answer.task for answer in found.values()} >= {second}
        # One that comes again is known by its name and version.
        again = found.get(mine.name)
        assert again is None or again.version == mine.version
        assert _of(backend.pull("").answers, [first, second])[0].at <= later.answers[-1].at


def _names(what: str, count: int) -> list[LabelTaskId]:
    return [LabelTaskId(digest_bytes(f"{what} {n}".encode())) for n in range(count)]


def _of(answers: Iterable[Returned], tasks: Sequence[LabelTaskId]) -> list[Returned]:
    return [answer for answer in answers if answer.task in tasks]
