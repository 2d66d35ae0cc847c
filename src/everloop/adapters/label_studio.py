"""Label Studio as a labelling backend, over its HTTP API (tried with the version that
`docs/label_studio.md` names)."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from everloop.adapters.label_studio_form import check_config, config, label_of, result_of
from everloop.errors import Refused, Unavailable
from everloop.ids import LabelTaskId
from everloop.labelling.backend import Pulled, Pushed, Returned, There
from everloop.labels import Label
from everloop.tasks.task import Widget

_TASK, _UPLOAD = "everloop_task", "everloop_upload"
"""The keys of a task's data that hold our id, and the number of the upload that is its picture."""
_PAGE = 200
_FILES = 50
_SECONDS = 30.0
_JWT = "eyJ"
_FIRST = "1970-01-01T00:00:00.000000Z"


class LabelStudio:
    """One project of a Label Studio server.

    `token`: a personal access token, or a legacy one where the organisation allows those. Raises
    `Unavailable` when the server does not answer, `Refused` when it says no.
    """

    name = "label-studio"

    def __init__(
        self, url: str, token: str, title: str, widget: Widget, classes: Sequence[str],
        project: int = 0,
    ) -> None:  # fmt: skip
        """`project`: its number; 0 finds the one called `title`, or makes it."""
        self._client = httpx.Client(base_url=url.rstrip("/"), timeout=_SECONDS)
        self._token, self._widget, self._classes = token, widget, tuple(classes)
        self._authorize()
        self._project = project or self._find_or_make(title)
        about = self._json("GET", f"/api/projects/{self._project}/")
        check_config(about["label_config"], widget, classes)
        self._people = self._everybody()

    @property
    def project(self) -> int:
        """The number of the project."""
        return self._project

    def _everybody(self) -> dict[int, str]:
        people = self._json("GET", "/api/users/")
        return {each["id"]: str(each.get("email") or each["id"]) for each in people}

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def _authorize(self) -> None:
        if not self._token.startswith(_JWT):
            self._client.headers["Authorization"] = f"Token {self._token}"
            return
        # A personal access token is exchanged for one that lasts some minutes.
        told = self._json("POST", "/api/token/refresh/", json={"refresh": self._token})
        self._client.headers["Authorization"] = f"Bearer {told['access']}"

    def _find_or_make(self, title: str) -> int:
        found = self._json("GET", "/api/projects/", params={"title": title, "page_size": 100})
        rows = [row for row in found["results"] if row["title"] == title]
        if not rows:
            made = {"title": title, "label_config": config(self._widget, self._classes)}
            rows = [self._json("POST", "/api/projects/", json=made)]
        return int(rows[0]["id"])

    def there(self) -> Mapping[LabelTaskId, There]:
        """As `Backend.there`; costs a look at all of them."""
        return {
            LabelTaskId(str(row["data"][_TASK])): There(str(row["id"]), _is_answered(row))
            for row in self._tasks({"include": "id,data,total_annotations,cancelled_annotations"})
            if _TASK in row["data"]
        }

    def push(self, tasks: Sequence[Pushed]) -> None:
        """As `Backend.push`: first the pictures, then tasks that name them."""
        for start in range(0, len(tasks), _FILES):
            part = tasks[start : start + _FILES]
            places = self._upload(part)
            self._json(
                "POST",
                f"/api/projects/{self._project}/import",
                json=[_task(task, places[_file_name(task)]) for task in part],
            )

    def _upload(self, tasks: Sequence[Pushed]) -> dict[str, tuple[str, int]]:
        """Where the pictures lie there, and their numbers, by the names they were given here."""
        told = self._json(
            "POST",
            f"/api/projects/{self._project}/import",
            params={"commit_to_project": "false"},
            files=[
                (f"file{n}", (_file_name(task), task.picture, f"image/{task.format}"))
                for n, task in enumerate(tasks)
            ],
        )
        rows = self._json(
            "GET",
            f"/api/projects/{self._project}/file-uploads",
            params={"ids": json.dumps(told["file_upload_ids"])},
        )
        # What is uploaded gets a prefix of its own: 1a2b3c4d-name.png
        return {
            str(row["file"]).rpartition("/")[2].partition("-")[2]: (
                f"/data/{row['file']}",
                int(row["id"]),
            )
            for row in rows
        }

    def withdraw(self, names: Sequence[str]) -> None:
        """As `Backend.withdraw`, the pictures too."""
        for name in names:
            answer = self._send("GET", f"/api/tasks/{int(name)}/")
            if answer.status_code == 404:
                continue
            self._check(answer)
            upload = answer.json()["data"].get(_UPLOAD)
            self._drop(f"/api/tasks/{int(name)}/")
            # Label Studio keeps what was uploaded when its task goes.
            if upload is not None:
                self._drop(f"/api/import/file-upload/{int(upload)}")

    def _drop(self, path: str) -> None:
        answer = self._send("DELETE", path)
        if answer.status_code != 404:
            self._check(answer)

    def pull(self, cursor: str) -> Pulled:
        """As `Backend.pull`; the cursor is when the newest task was changed there."""
        since = {
            "filter": "filter:tasks:updated_at",
            "operator": "greater_or_equal",
            "type": "Datetime",
            "value": cursor or _FIRST,
        }
        query = {
            "filters": {"conjunction": "and", "items": [since]},
            "ordering": ["tasks:updated_at"],
        }
        newest, answers = cursor, list[Returned]()
        for row in self._tasks({"fields": "all", "query": json.dumps(query)}):
            newest = max(newest, str(row["updated_at"]))
            if _TASK in row["data"]:
                task = LabelTaskId(str(row["data"][_TASK]))
                answers += [self._returned(task, each) for each in row["annotations"]]
        return Pulled(tuple(sorted(answers, key=lambda each: each.at)), newest)

    def call(self, url: str, token: str) -> None:
        """As `Calling.call`. What was answered is not sent: it is asked for."""
        self.call_no_more(urlsplit(url).path)
        told = {
            "project": self._project,
            "url": url,
            "headers": {"Authorization": f"Bearer {token}"},
            "send_payload": False,
            "send_for_all_actions": False,
            "actions": ["ANNOTATION_CREATED", "ANNOTATION_UPDATED"],
        }
        self._json("POST", "/api/webhooks/", json=told)

    def call_no_more(self, path: str) -> int:
        """As `Calling.call_no_more`; of this project alone."""
        rows = self._json("GET", "/api/webhooks/", params={"project": self._project})
        mine = [row["id"] for row in rows if urlsplit(str(row["url"])).path == path]
        for number in mine:
            self._drop(f"/api/webhooks/{int(number)}/")
        return len(mine)

    def _returned(self, task: LabelTaskId, row: Mapping[str, Any]) -> Returned:
        who = row.get("completed_by")
        number = int((who.get("id") if isinstance(who, dict) else who) or 0)
        if number not in self._people:  # They came after this began.
            self._people = {number: f"user {number}", **self._everybody()}
        by = self._people[number]
        label: Label | None = None
        problem = None
        if not row.get("was_cancelled"):
            try:
                label = label_of(row["result"], self._widget)
            except (Refused, TypeError, ValueError, KeyError) as error:
                problem = str(error)
        at = datetime.fromisoformat(str(row["created_at"]))
        return Returned(str(row["id"]), str(row["updated_at"]), task, label, by, at, problem)

    def _tasks(self, asked: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        page, left = 1, 1
        while left > 0:
            params = {"project": self._project, "page": page, "page_size": _PAGE, **asked}
            told = self._json("GET", "/api/tasks/", params=params)
            yield from told["tasks"]
            left = told["total"] - page * _PAGE if told["tasks"] else 0
            page += 1

    def _json(self, method: str, path: str, **sent: Any) -> Any:
        answer = self._send(method, path, **sent)
        self._check(answer)
        try:
            return answer.json()
        except ValueError as error:
            raise Refused(f"{answer.request.url} answers, but not as Label Studio does") from error

    def _send(self, method: str, path: str, **sent: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **sent)
            if answer.status_code == 401 and self._token.startswith(_JWT) and "token" not in path:
                self._authorize()
                answer = self._client.request(method, path, **sent)
        except httpx.HTTPError as error:
            raise Unavailable(f"Label Studio did not answer: {error}") from error
        return answer

    def _check(self, answer: httpx.Response) -> None:
        if answer.is_success:
            return
        what = f"Label Studio said {answer.status_code} to {answer.request.url.path}"
        if "reserved network address" in answer.text:
            raise Refused(
                f"{what}: it calls no address of its own network; its operator may set "
                "SSRF_PROTECTION_ENABLED=false, or name one that others reach"
            )
        if answer.status_code in (401, 403):
            raise Refused(f"{what}: it does not take the token in LABEL_STUDIO_API_KEY")
        if answer.status_code >= 500 or answer.status_code == 429:
            raise Unavailable(what)
        raise Refused(f"{what}: {answer.text[:300]}")


def _is_answered(row: Mapping[str, Any]) -> bool:
    return bool(row.get("total_annotations") or row.get("cancelled_annotations"))


def _file_name(task: Pushed) -> str:
    return f"{task.task}.{task.format}"


def _task(task: Pushed, picture: tuple[str, int]) -> dict[str, Any]:
    place, upload = picture
    told: dict[str, Any] = {"data": {"image": place, _TASK: task.task, _UPLOAD: upload}}
    if task.suggestion is not None:
        offered: dict[str, Any] = {
            "model_version": (task.suggested_by or "everloop")[:12],
            "result": result_of(task.suggestion, task.width, task.height),
        }
        if task.confidence is not None:
            offered["score"] = task.confidence
        told["predictions"] = [offered]
    return told
