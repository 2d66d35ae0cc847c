// The labelling desk. An answer shows the next picture at once and is saved behind; until the server
// has said that it is on its disk, it is kept in this browser, and sent again and again.
"use strict";
const $ = (id) => document.getElementById(id);
const desk = $("desk");
if (desk) startDesk();

function startDesk() {
  const csrf = document.querySelector("meta[name=csrf]").content;
  const widget = desk.dataset.widget;
  const buttons = [...document.querySelectorAll("[data-class]")];
  const editor = widget === "boxes" ? new BoxEditor($("stage"), buttons[0] && buttons[0].dataset.class) : null;
  // What one person has not saved yet is sent in their own name alone; each answer is kept by
  // itself, so that two windows of one person do not write over each other.
  const store = `everloop-unsaved ${encodeURIComponent(desk.dataset.person)} `;
  const pictures = new Map();
  const over = new Set();
  let tasks = [], done = [], outbox = kept(), saved = 0, left = Number($("left").dataset.open);
  let seen = 0, sending = false, filling = false, light = 1;

  function kept() {
    try {
      const names = Object.keys(localStorage).filter((name) => name.startsWith(store));
      const entries = names.map((name) => ({ ...JSON.parse(localStorage.getItem(name)), isKept: true }));
      return entries.sort((one, two) => one.at - two.at);
    } catch (error) { return []; }
  }

  function save(entry) {
    try {
      localStorage.setItem(store + entry.task.id, JSON.stringify(entry));
      entry.isKept = true;
    } catch (error) { /* In memory only. */ }
  }

  function forget(entry) {
    try { localStorage.removeItem(store + entry.task.id); } catch (error) { /* It was not there. */ }
  }

  // Another window of this person may have sent it meanwhile, or taken it back.
  function isElsewhere(entry) {
    try { return entry.isKept && localStorage.getItem(store + entry.task.id) === null; } catch (error) { return false; }
  }

  function tell() {
    $("saved").textContent = outbox.length ? `${saved} saved, ${outbox.length} on the way` : `${saved} saved`;
    $("left").textContent = `${left} open`;
  }

  function trouble(text) {
    $("trouble").textContent = text;
    $("trouble").hidden = !text;
  }

  function post(path, body) {
    const headers = { "content-type": "application/json", "x-everloop-csrf": csrf };
    return fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  async function why(answer) {
    try { return (await answer.json()).error.message; } catch (error) { return `error ${answer.status}`; }
  }

  // Getting tasks, and their pictures before they are looked at.

  async function fill() {
    if (filling) return;
    filling = true;
    try {
      const answer = await post("/label/tasks", {});
      if (answer.ok) {
        const held = (await answer.json()).tasks, ids = new Set(held.map((t) => t.id));
        // A lease that ran out while this machine slept: somebody else may have the task now.
        tasks = tasks.filter((t, place) => place === 0 || ids.has(t.id));
        const mine = new Set(tasks.map((t) => t.id));
        const more = held.filter((t) => !mine.has(t.id) && !over.has(t.id));
        const first = !tasks.length;
        tasks.push(...more);
        tasks.forEach(prepare);
        if (first) show();
      } else trouble(answer.status === 401 ? "You are logged out: log in again in another tab; nothing is lost." : await why(answer));
    } catch (error) { trouble("The server does not answer; what you answer is kept here."); }
    filling = false;
  }

  function prepare(task) {
    if (pictures.has(task.id)) return;
    const picture = new Image();
    // One that did not come is asked for again when it is looked at, or others come.
    picture.onerror = () => { if (pictures.get(task.id) === picture) pictures.delete(task.id); };
    picture.src = task.image;
    pictures.set(task.id, picture);
  }

  function show() {
    const task = tasks[0];
    desk.hidden = !task;
    $("none").hidden = Boolean(task);
    if (!task) return;
    prepare(task);
    const picture = pictures.get(task.id);
    desk.dataset.task = task.id;
    light = 1;
    brighten(0);
    offer(task);
    const ready = () => requestAnimationFrame(() => {
      if (tasks[0] !== task) return;
      $("stage").classList.toggle("tiny", picture.naturalWidth < 100);
      if (editor) {
        $("picture").hidden = true;
        editor.load(picture, task.suggestion ? task.suggestion.boxes : []);
      } else $("picture").src = picture.src;
      if (task.tries !== undefined && !task.isLost) trouble("");
      seen = performance.now();
      desk.dataset.seen = task.id;
      tasks.forEach(prepare);
    });
    picture.decode().then(ready, () => failed(task, ready));
    $("stage").focus({ preventScroll: true });
  }

  // A picture that did not come is asked for again; one that came and is none can only be skipped.
  async function failed(task, ready) {
    let answer = null;
    try { answer = await fetch(task.image, { method: "HEAD" }); } catch (error) { /* Nobody answers. */ }
    if (tasks[0] !== task) return;
    const isThere = answer && answer.ok, tries = (task.tries || 0) + (isThere ? 1 : 0);
    if (tries > 1 || (answer && isFinal(answer.status))) {
      trouble("This picture cannot be shown: skip it.");
      task.isLost = true;
      ready();
      return;
    }
    task.tries = tries;
    if (!isThere) trouble(answer && answer.status < 500 ? "You are logged out: log in in another tab." : "The server does not answer; the picture comes when it does.");
    pictures.delete(task.id);
    setTimeout(() => { if (tasks[0] === task) show(); }, isThere ? 0 : 1000);
  }

  function offer(task) {
    const offered = task.suggestion;
    const one = typeof offered === "string";
    $("offer").hidden = !one;
    const sure = task.confidence === null ? "" : ` ${Math.round(100 * task.confidence)}%`;
    $("offer").firstElementChild.textContent = one ? `${offered}${sure}: Enter confirms` : "";
    $("confirm").disabled = widget === "one-of" && !one;
    for (const button of buttons) {
      button.classList.toggle("offered", button.dataset.class === offered);
      if (widget === "any-of") press(button, offered !== null && offered.classes.includes(button.dataset.class));
    }
    if ($("value")) $("value").value = offered === null ? "" : offered.value;
  }

  function press(button, on) { button.setAttribute("aria-pressed", String(on)); }

  // Answering: the next picture first, then the saving.

  function put(path, body) {
    // What nobody has seen yet, nobody answers.
    if (!tasks.length || desk.dataset.seen !== tasks[0].id) return;
    const task = tasks.shift();
    const entry = { task, path: `/label/${task.id}/${path}`, body, at: Date.now() };
    save(entry);
    entry.seen = seen;
    outbox.push(entry);
    done.push(entry);
    over.add(task.id);
    left = Math.max(0, left - 1);
    closeSkipping();
    tell();
    show();
    send();
  }

  function answer(label) { put("answer", { label }); }

  function confirm() {
    const task = tasks[0];
    if (!task) return;
    if (widget === "one-of" && typeof task.suggestion === "string") answer(task.suggestion);
    if (widget === "any-of") answer({ classes: buttons.filter((b) => b.getAttribute("aria-pressed") === "true").map((b) => b.dataset.class) });
    if (widget === "boxes") answer({ boxes: editor.rows() });
    if (widget === "figure") figure();
  }

  function figure() {
    const value = Number($("value").value.replace(",", "."));
    if ($("value").value.trim() === "" || !Number.isFinite(value)) { trouble("A figure is a number."); return; }
    answer({ value });
  }

  async function send() {
    if (sending) return;
    sending = true;
    while (outbox.length) {
      const entry = outbox[0];
      if (isElsewhere(entry)) {
        outbox.shift();
        tell();
        continue;
      }
      let result;
      try { result = await post(entry.path, entry.body); } catch (error) { result = null; }
      if (result && result.ok) {
        saved += 1;
        if (entry.seen) desk.dataset.lastMs = (performance.now() - entry.seen).toFixed(1);
        trouble("");
      } else if (result && isFinal(result.status)) {
        // Sent again it would be refused again. Who still holds the task is given it anew.
        trouble(`Not saved: ${await why(result)}`);
        over.delete(entry.task.id);
        done = done.filter((one) => one !== entry);
      } else {
        trouble(result && [401, 403].includes(result.status)
          ? "You are logged out. Log in in another tab and load this page anew; your answers are kept here."
          : "The server does not answer; your answers are kept here and sent again.");
        await new Promise((resolve) => setTimeout(resolve, 1000));
        continue;
      }
      if (outbox[0] === entry) outbox.shift();
      forget(entry);
      tell();
      pictures.delete(entry.task.id);
      if (tasks.length < 3) fill();
    }
    sending = false;
  }

  function isFinal(status) { return status >= 400 && status < 500 && ![401, 403, 408, 425, 429].includes(status); }

  async function undo() {
    const entry = done.pop();
    if (!entry) { trouble("There is nothing to undo."); return; }
    const at = outbox.indexOf(entry);
    // The first one may be on its way already: it is undone once it is saved.
    if (at > 0) {
      outbox.splice(at, 1);
      forget(entry);
      again(entry.task);
      return;
    }
    while (outbox.includes(entry)) await new Promise((resolve) => setTimeout(resolve, 20));
    try {
      const result = await post(`/label/${entry.task.id}/undo`, {});
      if (result.ok) { saved = Math.max(0, saved - 1); again(entry.task); trouble(""); } else trouble(await why(result));
    } catch (error) { done.push(entry); trouble("The server does not answer: it was not undone."); }
  }

  function again(task) {
    over.delete(task.id);
    tasks = [task, ...tasks.filter((t) => t.id !== task.id)];
    left += 1;
    tell();
    show();
  }

  function brighten(step) {
    light = Math.min(3, Math.max(0.3, light + step));
    $("stage").style.filter = light === 1 ? "" : `brightness(${light})`;
  }

  function closeSkipping() { $("skipping").open = false; }

  // Mouse and keys.

  function choose(name) {
    if (widget === "one-of") answer(name);
    if (widget === "any-of") {
      const button = buttons.find((b) => b.dataset.class === name);
      press(button, button.getAttribute("aria-pressed") !== "true");
    }
    if (editor) editor.name(name);
  }

  for (const button of buttons) button.addEventListener("click", () => { choose(button.dataset.class); $("stage").focus({ preventScroll: true }); });
  for (const button of document.querySelectorAll("[data-skip]")) button.addEventListener("click", () => put("skip", { reason: button.dataset.skip }));
  $("confirm").addEventListener("click", confirm);
  $("undo").addEventListener("click", undo);
  $("brighter").addEventListener("click", () => brighten(0.2));
  $("darker").addEventListener("click", () => brighten(-0.2));
  if ($("figure")) $("figure").addEventListener("submit", (event) => { event.preventDefault(); figure(); });

  // Classes without a key of their own are found by a part of their name.

  function find() {
    const wanted = plain($("find").value);
    for (const button of buttons) button.parentElement.hidden = !plain(button.dataset.class).includes(wanted);
  }

  function plain(text) { return text.normalize("NFC").toLowerCase(); }

  function findKey(event) {
    if (event.key !== "Enter" && event.key !== "Escape") return false;
    const wanted = $("find").value, first = wanted && buttons.find((button) => !button.parentElement.hidden);
    $("find").value = "";
    find();
    $("stage").focus({ preventScroll: true });
    if (event.key === "Enter" && first) choose(first.dataset.class);
    else if (event.key === "Enter" && wanted) trouble(`No class has ${wanted} in its name.`);
    return true;
  }

  if ($("find")) $("find").addEventListener("input", find);

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function boxKey(event) {
    if (!editor || document.activeElement !== $("stage")) return false;
    const step = Math.max(1, editor.view.w / 200);
    if (event.key in arrows) {
      const [dx, dy] = arrows[event.key];
      if (editor.chosen < 0) editor.pan(dx / 10, dy / 10); else editor.nudge(dx * step, dy * step, event.shiftKey);
    } else if (event.key === "Tab") return editor.next(event.shiftKey ? -1 : 1);
    else if (event.key === "Delete" || event.key === "Backspace") editor.remove();
    else if (event.key === "n") editor.add();
    else if (event.key === "z") editor.zoom(0.7);
    else if (event.key === "0") editor.fit();
    else if (event.key === "Escape") { editor.chosen = -1; editor.draw(); }
    else return false;
    return true;
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !tasks.length) return false;
    if (event.target === $("find")) return findKey(event);
    if (["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName)) return false;
    if (event.key === "Enter" || event.key === " ") {
      // On a button, or a summary, the key is its own.
      if (event.target !== document.body && event.target !== $("stage")) return false;
      if (event.key === "Enter") confirm();
      return event.key === "Enter";
    }
    if ($("skipping").open) {
      if (event.key === "Escape") { closeSkipping(); return true; }
      const reason = document.querySelectorAll("[data-skip]")[Number(event.key) - 1];
      if (reason) { reason.click(); return true; }
    }
    const named = buttons.find((button) => button.dataset.key === event.key);
    if (named && !event.repeat) { choose(named.dataset.class); return true; }
    if (boxKey(event)) return true;
    if (event.key === "/" && $("find")) $("find").focus();
    else if (event.key === "u") undo();
    else if (event.key === "s") $("skipping").open = true;
    else if (event.key === "+" || event.key === "=") brighten(0.2);
    else if (event.key === "-") brighten(-0.2);
    else return false;
    return true;
  }

  document.addEventListener("keydown", (event) => { if (key(event)) event.preventDefault(); });
  setInterval(() => { if (!document.hidden) fill(); }, 5000);
  outbox.forEach((entry) => over.add(entry.task.id));
  tell();
  $("saved").textContent = outbox.length ? `${outbox.length} kept from before are being sent` : "nothing answered yet";
  send();
  fill();
}
