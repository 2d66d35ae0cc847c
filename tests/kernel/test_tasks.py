"""What each task declares, accepts and refuses."""

from collections.abc import Callable

import pytest

from everloop.errors import Refused
from everloop.labels import BoxesLabel, ClassesLabel, ClassLabel, Label, ValueLabel
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.multi_label import MultiLabelClassification
from everloop.tasks.object_detection import ObjectDetection
from everloop.tasks.registry import by_declaration
from everloop.tasks.tabular import TabularClassification, TabularRegression
from everloop.tasks.task import TableTask, Task, learnable, why_not_learnable

TASKS: list[tuple[Task, Label]] = [
    (ImageClassification("ab", (8, 8), 1), ClassLabel("a")),
    (MultiLabelClassification(["a"]), ClassesLabel(("a",))),
    (ObjectDetection(["a"]), BoxesLabel(())),
    (TabularRegression("y", ["x"], "t"), ValueLabel(1.0)),
    (TabularClassification("y", "ab", ["x"]), ClassLabel("b")),
]
_OTHERS: list[Label] = [ClassesLabel(("b",)), ClassLabel("c"), ValueLabel(2.0)]


@pytest.mark.parametrize(("task", "label"), TASKS, ids=lambda one: type(one).__name__)
def test_a_task_is_made_again_from_its_declaration(task: Task, label: Label) -> None:
    again = by_declaration(task.declaration())
    assert again == task and again.declaration() == task.declaration()
    assert task.accepts(label) is None
    assert any(task.accepts(other) for other in _OTHERS)


def test_what_cannot_be_learnt_yet_says_so() -> None:
    for task, _ in TASKS:
        if isinstance(task, ImageClassification | MultiLabelClassification):
            assert learnable(task) is task
            continue
        with pytest.raises(Refused, match=f"{task.kind} cannot be learnt in this version yet"):
            learnable(task)
        assert "imported, checked, versioned and exported" in str(why_not_learnable(task))
    assert [isinstance(task, TableTask) for task, _ in TASKS] == [False] * 3 + [True] * 2


def test_what_does_not_do_is_refused() -> None:
    wrongs: list[Callable[[], Task]] = [
        lambda: ObjectDetection([]),
        lambda: ObjectDetection(["a", "a"]),
        lambda: ObjectDetection(["a"], (0, 8)),
        lambda: MultiLabelClassification(["a"], channels=2),
        lambda: ImageClassification("a"),
        lambda: TabularRegression("y", ["x", "y"]),
        lambda: TabularRegression("y", []),
        lambda: TabularClassification("y", "a", ["x"]),
        lambda: by_declaration({"kind": "opera"}),
        lambda: by_declaration({"kind": "object-detection", "colour": "red"}),
    ]
    for wrong in wrongs:
        with pytest.raises(Refused):
            wrong()
