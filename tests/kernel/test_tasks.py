"""What each task declares, accepts and refuses."""

from collections.abc import Callable, Mapping

import pytest

from everloop.errors import Refused
from everloop.ids import Json
from everloop.labels import BoxesLabel, ClassesLabel, ClassLabel, Label, LabelKind, ValueLabel
from everloop.tasks.image_classification import ImageClassification
from everloop.tasks.image_retrieval import ImageRetrieval
from everloop.tasks.multi_label import MultiLabelClassification
from everloop.tasks.object_detection import ObjectDetection
from everloop.tasks.registry import by_declaration
from everloop.tasks.tabular import TabularClassification, TabularRegression
from everloop.tasks.task import Modality, TableTask, Task, learnable, why_not_learnable

TASKS: list[tuple[Task, Label]] = [
    (ImageClassification("ab", (8, 8), 1), ClassLabel("a")),
    (MultiLabelClassification(["a"]), ClassesLabel(("a",))),
    (ObjectDetection(["a"]), BoxesLabel(())),
    (ImageRetrieval("ab", most=7), ClassLabel("a")),
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


class _Bare:
    """A task whose data are kept, and no more."""

    kind = "bare"
    modality: Modality = "image"
    label_kind: LabelKind = "class"
    classes = ("a",)

    def accepts(self, label: Label) -> str | None:
        return None if label == ClassLabel("a") else "another"

    def declaration(self) -> Mapping[str, Json]:
        return {"kind": self.kind}


def test_every_task_is_learnt_and_one_that_is_not_says_so() -> None:
    assert all(learnable(task) is task for task, _ in TASKS)
    with pytest.raises(Refused, match="bare does not say how it is learnt"):
        learnable(_Bare())
    assert "imported, checked, versioned and exported" in str(why_not_learnable(_Bare()))
    assert [isinstance(task, TableTask) for task, _ in TASKS] == [False] * 4 + [True] * 2


def test_what_does_not_do_is_refused() -> None:
    wrongs: list[Callable[[], Task]] = [
        lambda: ObjectDetection([]),
        lambda: ObjectDetection(["a", "a"]),
        lambda: ObjectDetection(["a"], (0, 8)),
        lambda: MultiLabelClassification(["a"], channels=2),
        lambda: ImageClassification("a"),
        lambda: ImageRetrieval("ab", most=2),
        lambda: TabularRegression("y", ["x", "y"]),
        lambda: TabularRegression("y", []),
        lambda: TabularClassification("y", "a", ["x"]),
        lambda: by_declaration({"kind": "opera"}),
        lambda: by_declaration({"kind": "object-detection", "colour": "red"}),
    ]
    for wrong in wrongs:
        with pytest.raises(Refused):
            wrong()
