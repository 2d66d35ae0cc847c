"""The pages in a real Chromium: logging in, labelling by keys, deciding, trying, and axe."""

import logging
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.browser import (
    LAPTOP,
    PHONE,
    accessible,
    chromium,
    complaints,
    missing_browser,
    picture,
    seen,
    sized,
)
from tests.support.pages import (
    Filled,
    Pages,
    disagree,
    fill,
    now,
    pages_of,
    record,
    things_project,
)
from tests.support.pictures import flat
from tests.support.planted import planted
from tests.support.projects import until
from tests.support.watched import watch

from everloop.labels import BoxesLabel, decode
from everloop.loop.run import first_log_in
from everloop.state.access import Role

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_log = logging.getLogger(__name__)
_WHY = missing_browser()
pytestmark = pytest.mark.skipif(_WHY is not None, reason=str(_WHY))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Chrome]":
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pages, Filled]]:
    """A product with something on every page, and a champion that answers."""
    project = things_project(tmp_path_factory.mktemp("browser") / "things")
    put = fill(project, tasks=20, measured=True)
    disagree(project, put.samples[0], {"ann": "dark", "bob": "bright"})
    record(project)
    watch(project, put)
    with planted(project, put.bundles[0]), pages_of(project) as pages:
        yield pages, put


def _log_in(browser: "Chrome", pages: Pages, role: Role) -> None:
    browser.get("about:blank")
    browser.delete_all_cookies()
    browser.get(f"{pages.url}/login#{pages.tokens[role]}")
    seen(browser, "!location.pathname.startsWith('/login') && document.querySelector('nav')")


def _press(browser: "Chrome", *keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(browser, duration=0).send_keys(*keys).perform()


def test_the_first_administrator_is_let_in_by_the_printed_address_once(
    browser: "Chrome", tmp_path: Path
) -> None:
    project = things_project(tmp_path / "new")
    with pages_of(project, people=False) as pages:
        address = first_log_in(project.access, pages.url, now())
        assert address is not None
        browser.get(address)
        assert seen(browser, "document.querySelector('h1').textContent").startswith("things")
        assert "evl_" not in browser.current_url
        browser.delete_all_cookies()
        browser.get("about:blank")
        browser.get(address)
        seen(browser, "document.querySelector('[role=alert]')")


def test_a_pre_labelled_task_is_confirmed_by_one_key_and_the_next_is_there(
    browser: "Chrome", served: tuple[Pages, Filled], record_property: Callable[[str, object], None]
) -> None:
    pages, put = served
    sized(browser, LAPTOP)
    complaints(browser)  # Those of tests before are theirs.
    _log_in(browser, pages, "labeller")
    # A labeller's first page is the desk.
    times = []
    for task in put.tasks[:8]:
        seen(browser, f"document.getElementById('desk').dataset.seen === '{task}'")
        browser.execute_script("delete document.getElementById('desk').dataset.lastMs")
        _press(browser, "\ue007")
        times.append(float(seen(browser, "document.getElementById('desk').dataset.lastMs")))
    record_property("median_ms_from_seeing_to_saving", statistics.median(times))
    _log.info("from seeing to saving: median %.0f ms of %d", statistics.median(times), len(times))
    picture(browser, "label-laptop")
    saved = {a.id: a.label for a in pages.project.queue.answered_unrecorded()}
    assert list(saved) == list(put.tasks[:8])
    assert set(saved.values()) == {"dark", "bright"}
    _press(browser, "2")
    seen(browser, "document.getElementById('saved').textContent.startsWith('9 saved')")
    _press(browser, "u")
    seen(browser, f"document.getElementById('desk').dataset.seen === '{put.tasks[8]}'")
    _press(browser, "s", "2")
    until(lambda: pages.project.queue.counts().get("skipped") == 1, why="the skipping")
    assert not complaints(browser)


def test_what_was_answered_while_the_server_was_dead_is_saved_when_it_is_back(
    browser: "Chrome", tmp_path: Path
) -> None:
    project = things_project(tmp_path / "dying")
    put = fill(project, tasks=6)
    with pages_of(project) as pages:
        port = int(pages.url.rpartition(":")[2])
        # A picture that does not come is no picture to answer, nor one to skip.
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/image"]})
        _log_in(browser, pages, "labeller")
        seen(browser, "document.getElementById('trouble').textContent.includes('comes when')")
        _press(browser, "1", "\ue007")
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})
        seen(browser, f"document.getElementById('desk').dataset.seen === '{put.tasks[0]}'")
        assert browser.execute_script("return document.getElementById('trouble').hidden")
        # Those of the next tasks are there too.
        came = "e => e.name.endsWith('/image') && e.responseStatus === 200"
        seen(browser, f"performance.getEntriesByType('resource').filter({came}).length >= 4")
    for task in put.tasks[1:3]:
        _press(browser, "1")
        seen(browser, f"document.getElementById('desk').dataset.seen === '{task}'")
    seen(browser, "document.getElementById('trouble').textContent.includes('kept here')")
    assert not project.queue.answered_unrecorded()
    with pages_of(project, port=port):
        until(lambda: len(project.queue.answered_unrecorded()) == 2, why="the answers")
        seen(browser, "document.getElementById('saved').textContent === '2 saved'")


def test_boxes_are_drawn_moved_and_named_by_mouse_and_keys(
    browser: "Chrome", tmp_path: Path
) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    project = things_project(tmp_path / "boxes", boxes=True)
    put = fill(project, tasks=2)
    sized(browser, LAPTOP)
    with pages_of(project) as pages:
        _log_in(browser, pages, "labeller")
        seen(browser, "document.querySelector('#stage svg image')")
        # The model's own is there already.
        seen(browser, "document.querySelectorAll('rect.box').length === 1")
        # What somebody else left in this browser stays theirs, whatever they are called.
        browser.execute_script("localStorage.setItem('everloop-unsaved labeller%20too x', '{}')")
        # What was kept and can never be saved is told, and holds up nothing.
        browser.execute_script(
            "localStorage.setItem('everloop-unsaved labeller x', JSON.stringify({task: {id: 'x'},"
            "path: arguments[0], at: 1, body: {label: {boxes: Array(2e4).fill(['dark', 1, 1, 2, 2])"
            "}}}))", f"/label/{put.tasks[1]}/answer",
        )  # fmt: skip
        browser.refresh()
        seen(browser, "document.getElementById('trouble').textContent.startsWith('Not saved')")
        picture(browser, "not-saved-laptop")
        seen(browser, "document.querySelectorAll('rect.box').length === 1")
        stage = browser.find_element(By.ID, "stage")
        chain = ActionChains(browser, duration=10)
        chain.move_to_element_with_offset(stage, -60, -60).click_and_hold()
        chain.move_by_offset(80, 90).release().perform()
        seen(browser, "document.querySelectorAll('rect.box').length === 2")
        _press(browser, "2", "\ue014", "n", "\ue017", "n")
        seen(browser, "document.querySelectorAll('rect.box').length === 3")
        # Past the last box the keys lead out of the picture, and back into it.
        _press(browser, "\ue004")
        assert seen(browser, "document.activeElement.id") == "confirm"
        ActionChains(browser).key_down("\ue008").send_keys("\ue004").key_up("\ue008").perform()
        seen(browser, "document.activeElement.id === 'stage'")
        picture(browser, "boxes-laptop")
        _press(browser, "\ue007")
        until(project.queue.answered_unrecorded, why="the boxes")
    assert all("413" in told for told in complaints(browser))
    (answered,) = project.queue.answered_unrecorded()
    label = decode(answered.label)
    assert isinstance(label, BoxesLabel)
    assert {box.label for box in label.boxes} == {"bright"}
    drawn = max(label.boxes, key=lambda box: box.bottom - box.top)
    assert 0 <= drawn.left < drawn.right <= 24 and 0 <= drawn.top < drawn.bottom <= 24


def test_an_approver_approves_and_a_picture_is_tried_and_called_wrong(
    browser: "Chrome", served: tuple[Pages, Filled], tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By

    pages, put = served
    _log_in(browser, pages, "approver")
    browser.get(f"{pages.url}/models/{put.bundles[1]}")
    browser.find_element(By.ID, "comment").send_keys("looks right <b>to me</b>")
    browser.find_element(By.CSS_SELECTOR, "button[formaction$=approve]").click()
    seen(browser, "document.querySelector('.note.good')")
    decision = pages.project.decisions.of(put.bundles[1])
    assert decision is not None and decision.approved and decision.comment.endswith("<b>to me</b>")
    (tmp_path / "bright.png").write_bytes(flat(250))
    browser.get(f"{pages.url}/try")
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "bright.png"))
    assert seen(browser, "document.getElementById('said').textContent") == "bright"
    picture(browser, "answer-laptop")
    browser.find_element(By.CSS_SELECTOR, "#wrong button").click()
    seen(browser, "document.getElementById('thanks').textContent.startsWith('Noted')")
    (tmp_path / "page.png").write_text("<html>")
    browser.find_element(By.ID, "file").send_keys(str(tmp_path / "page.png"))
    seen(browser, "!document.getElementById('trouble').hidden")
    assert all("415" in told or "422" in told for told in complaints(browser))


def test_a_disagreement_is_decided_and_undone_by_keys(
    browser: "Chrome", served: tuple[Pages, Filled]
) -> None:
    pages, put = served
    sized(browser, LAPTOP)
    complaints(browser)
    _log_in(browser, pages, "approver")
    browser.get(f"{pages.url}/review")
    seen(browser, "document.querySelectorAll('[data-key=\"2\"]').length")
    seen(browser, "document.querySelector('img.drawn').naturalWidth > 0")
    assert complaints(browser) == []
    picture(browser, "review-laptop")
    # Enter in the field for a reason decides nothing.
    _press(browser, "c")
    _press(browser, "closer look", "\ue007", "\ue00c")
    _press(browser, "2")
    seen(browser, "document.querySelector('.note.good')")
    (decided,) = pages.project.resolutions.of(put.samples[0])
    assert (decided.label, decided.by, decided.comment) == ("bright", "approver", "closer look")
    _press(browser, "u")
    seen(browser, "!document.querySelector('.note.good') && document.querySelector('[data-key]')")
    assert [each.why for each in pages.project.resolutions.of(put.samples[0])] == [
        "conflict", "undo",
    ]  # fmt: skip
    assert not complaints(browser)


def test_an_approver_says_that_they_know_of_an_alarm_and_reads_the_report(
    browser: "Chrome", served: tuple[Pages, Filled]
) -> None:
    from selenium.webdriver.common.by import By

    pages, _ = served
    _log_in(browser, pages, "approver")
    browser.get(f"{pages.url}/monitoring")
    assert len(browser.find_elements(By.CSS_SELECTOR, "form[action$=ack]")) == 4
    browser.find_element(By.CSS_SELECTOR, "form[action$=ack] button").click()
    seen(browser, "document.querySelectorAll('form[action$=ack]').length === 3")
    known = [raised for raised in pages.project.alarms.standing() if raised.acked_by]
    assert [raised.alarm.level for raised in known] == ["critical"]
    browser.find_element(By.CSS_SELECTOR, "a[href*='/monitoring/reports/']").click()
    seen(browser, "document.querySelector('h1').textContent.includes('somebody')")
    for size, dark, name in ((LAPTOP, False, "laptop"), (PHONE, True, "phone-dark")):
        sized(browser, size, dark=dark)
        picture(browser, f"report-{name}")
    # It runs nothing, axe neither; what is watched is on the page before it.
    assert complaints(browser) == []
    sized(browser, LAPTOP)


def test_a_region_of_the_map_is_chosen_by_mouse_and_by_keys(
    browser: "Chrome", served: tuple[Pages, Filled]
) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    pages, put = served
    sized(browser, LAPTOP)
    complaints(browser)
    _log_in(browser, pages, "viewer")
    browser.get(f"{pages.url}/data/map")
    told = "document.getElementById('inside').textContent"
    assert seen(browser, told) == f"{len(put.samples)} of the {len(put.samples)} shown"
    drawn = browser.find_element(By.ID, "map")
    chain = ActionChains(browser, duration=10).move_to_element_with_offset(drawn, -120, -160)
    chain.click_and_hold().move_by_offset(120, 320).release().perform()
    by_mouse = int(seen(browser, told).split()[0])
    assert 0 < by_mouse < len(put.samples)
    picture(browser, "region-laptop")
    browser.find_element(By.ID, "left").send_keys("\ue012" * 40)
    browser.find_element(By.ID, "bottom").send_keys("\ue014" * 8)
    within = int(seen(browser, told).split()[0])
    assert by_mouse < within < len(put.samples)
    browser.find_element(By.CSS_SELECTOR, "#within button").click()
    seen(browser, "document.querySelector('p.note a')")
    # What the page counts as inside is what the server finds there.
    assert len(browser.find_elements(By.CSS_SELECTOR, "ul.tiles li")) == within
    _log_in(browser, pages, "approver")
    browser.get(f"{pages.url}/data/answers")
    browser.find_element(By.ID, "every").send_keys("\ue007")
    assert len(browser.find_elements(By.CSS_SELECTOR, "input:checked")) == len(put.samples)
    assert not complaints(browser)


def test_every_page_is_accessible_on_a_laptop_and_a_phone_in_light_and_dark(
    browser: "Chrome", served: tuple[Pages, Filled]
) -> None:
    pages, put = served
    _log_in(browser, pages, "administrator")
    paths = {
        "loop": "/", "models": "/models", "model": f"/models/{put.bundles[0]}",
        "compare": f"/models/compare?one={put.bundles[0]}&two={put.bundles[1]}",
        "releases": "/releases", "label": "/label", "data": "/data", "samples": "/data/samples",
        "sample": f"/data/samples/{put.samples[0]}", "trace": "/trace",
        "chain": "/trace/p29", "try": "/try",
        "answers": "/data/answers", "similar": f"/data/samples/{put.samples[0]}/similar",
        "map": "/data/map",
        "me": "/me", "review": "/review", "quality": "/review/quality", "people": "/people",
        "monitoring": "/monitoring", "audit": "/audit", "nothing": "/nothing",
    }  # fmt: skip
    found = []
    for name, path in paths.items():
        browser.get(pages.url + path)
        title = browser.execute_script("return document.querySelector('h1').textContent")
        assert (title == "That did not work") == (name == "nothing"), path
        for size, dark in ((LAPTOP, False), (PHONE, True)):
            sized(browser, size, dark=dark)
            # The same page in the dark differs by its colours and places alone.
            if not dark or name in ("loop", "model", "label", "review", "try", "monitoring"):
                found += accessible(browser, *(("color-contrast", "target-size") if dark else ()))
            wide = browser.execute_script("return document.documentElement.scrollWidth")
            if wide > size[0]:
                found.append(f"{name} is {wide} wide on a screen of {size[0]}")
            picture(browser, f"{name}-{'phone-dark' if dark else 'laptop'}")
    assert not found, "\n".join(found)
