// Boxes on a picture: drawn, moved, resized and named by mouse, finger or keys. Edges are in pixels
// of the picture, whose upper left corner is 0, 0; what is drawn never leaves it.
"use strict";
const SVG = "http://www.w3.org/2000/svg";
const EDGES = [["left", "top"], ["right", "top"], ["right", "bottom"], ["left", "bottom"]];

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

class BoxEditor {
  constructor(stage, firstClass) {
    this.svg = element("svg", { "aria-hidden": "true" });
    stage.append(this.svg);
    this.stage = stage;
    this.label = firstClass;
    this.boxes = [];
    this.chosen = -1;
    this.drag = null;
    this.svg.addEventListener("pointerdown", (event) => this.down(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    this.svg.addEventListener("pointerup", () => this.up());
    this.svg.addEventListener("pointercancel", () => this.up());
    this.svg.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  load(image, rows) {
    this.wide = image.naturalWidth;
    this.high = image.naturalHeight;
    this.href = image.src;
    this.boxes = rows.map(([label, left, top, right, bottom]) => ({ label, left, top, right, bottom }));
    this.chosen = -1;
    this.fit();
  }

  rows() {
    return this.boxes.map((b) => [b.label, b.left, b.top, b.right, b.bottom]);
  }

  fit() {
    this.view = { x: 0, y: 0, w: this.wide, h: this.high };
    this.draw();
  }

  zoom(factor, at) {
    const view = this.view;
    const w = Math.min(this.wide, Math.max(8, view.w * factor));
    const ratio = w / view.w;
    const centre = at || { x: view.x + view.w / 2, y: view.y + view.h / 2 };
    this.view = { x: centre.x - (centre.x - view.x) * ratio, y: centre.y - (centre.y - view.y) * ratio, w, h: view.h * ratio };
    this.draw();
  }

  pan(dx, dy) {
    this.view.x += dx * this.view.w;
    this.view.y += dy * this.view.h;
    this.draw();
  }

  name(label) {
    this.label = label;
    if (this.boxes[this.chosen]) this.boxes[this.chosen].label = label;
    this.draw();
  }

  add() {
    const w = this.view.w / 4, h = this.view.h / 4;
    const left = Math.max(0, this.view.x + 1.5 * w), top = Math.max(0, this.view.y + 1.5 * h);
    this.boxes.push({ label: this.label, left, top, right: Math.min(this.wide, left + w), bottom: Math.min(this.high, top + h) });
    this.chosen = this.boxes.length - 1;
    this.draw();
  }

  // Whether there is a next one; past the last and before the first none is chosen, so that keys
  // lead out of the picture again.
  next(step) {
    const count = this.boxes.length;
    this.chosen = this.chosen < 0 && step < 0 ? count - 1 : this.chosen + step;
    const isThere = this.chosen >= 0 && this.chosen < count;
    if (!isThere) this.chosen = -1;
    this.draw();
    return isThere;
  }

  remove() {
    if (this.boxes[this.chosen]) this.boxes.splice(this.chosen, 1);
    this.chosen = Math.min(this.chosen, this.boxes.length - 1);
    this.draw();
  }

  nudge(dx, dy, resizes) {
    const box = this.boxes[this.chosen];
    if (!box) return;
    if (resizes) this.place(box, { ...box, right: box.right + dx, bottom: box.bottom + dy });
    else this.shift(box, box, dx, dy);
    this.draw();
  }

  shift(box, from, dx, dy) {
    const x = Math.min(this.wide - from.right, Math.max(-from.left, dx));
    const y = Math.min(this.high - from.bottom, Math.max(-from.top, dy));
    Object.assign(box, { left: from.left + x, right: from.right + x, top: from.top + y, bottom: from.bottom + y });
  }

  place(box, to) {
    const x = [to.left, to.right].map((v) => Math.min(this.wide, Math.max(0, v))).sort((a, b) => a - b);
    const y = [to.top, to.bottom].map((v) => Math.min(this.high, Math.max(0, v))).sort((a, b) => a - b);
    Object.assign(box, { left: x[0], right: Math.max(x[1], x[0] + 1), top: y[0], bottom: Math.max(y[1], y[0] + 1) });
  }

  point(event) {
    const found = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    return { x: found.x, y: found.y };
  }

  down(event) {
    if (event.button > 1) return;
    this.svg.setPointerCapture(event.pointerId);
    this.stage.focus();
    const at = this.point(event);
    const { box, corner } = event.target.dataset;
    if (event.button === 1 || event.altKey) this.drag = { kind: "pan", at };
    else if (corner !== undefined) {
      const chosen = this.boxes[this.chosen], [x, y] = EDGES[(Number(corner) + 2) % 4];
      this.drag = { kind: "draw", at: { x: chosen[x], y: chosen[y] } };
    } else if (box !== undefined) {
      this.chosen = Number(box);
      this.drag = { kind: "move", at, from: { ...this.boxes[this.chosen] } };
    } else this.drag = { kind: "new", at };
    this.draw();
  }

  move(event) {
    const drag = this.drag;
    if (!drag) return;
    const at = this.point(event);
    if (drag.kind === "pan") {
      this.view.x -= at.x - drag.at.x;
      this.view.y -= at.y - drag.at.y;
    } else if (drag.kind === "move") {
      this.shift(this.boxes[this.chosen], drag.from, at.x - drag.at.x, at.y - drag.at.y);
    } else {
      const least = this.view.w / 100;
      if (drag.kind === "new") {
        if (Math.abs(at.x - drag.at.x) < least && Math.abs(at.y - drag.at.y) < least) return;
        this.boxes.push({ label: this.label });
        this.chosen = this.boxes.length - 1;
        drag.kind = "draw";
      }
      this.place(this.boxes[this.chosen], { left: drag.at.x, top: drag.at.y, right: at.x, bottom: at.y });
    }
    this.draw();
  }

  up() {
    if (this.drag && this.drag.kind === "new") this.chosen = -1;
    this.drag = null;
    this.draw();
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 0.85 : 1 / 0.85, this.point(event));
  }

  draw() {
    const view = this.view, unit = view.w / 60;
    this.svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
    const parts = [element("image", { href: this.href, width: this.wide, height: this.high })];
    this.boxes.forEach((box, index) => {
      const place = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
      const drawn = element("rect", { ...place, class: index === this.chosen ? "box chosen" : "box" });
      drawn.dataset.box = index;
      const text = element("text", { x: box.left + unit / 4, y: box.top + unit * 1.4, "font-size": unit * 1.4, "stroke-width": unit / 5 });
      text.textContent = box.label;
      parts.push(drawn, text);
    });
    const chosen = this.boxes[this.chosen];
    if (chosen) EDGES.forEach(([x, y], corner) => {
      const handle = element("circle", { cx: chosen[x], cy: chosen[y], r: unit / 1.6, class: "handle" });
      handle.dataset.corner = corner;
      parts.push(handle);
    });
    this.svg.replaceChildren(...parts);
  }
}
