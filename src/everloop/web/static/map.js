// A region of the map: dragged by mouse or finger, or moved by its four edges, which are sliders.
"use strict";
const $ = (id) => document.getElementById(id);
const map = $("map");
if (map) startMap();

function startMap() {
  const [left, top, right, bottom] = ["left", "top", "right", "bottom"].map($);
  const dots = [...map.querySelectorAll("a circle")].map((dot) => [Number(dot.getAttribute("cx")), Number(dot.getAttribute("cy"))]);
  let from = null;

  // A slider's value as a place in the box of 600 by 400, and back.
  function place(slider, size) { return (slider.value - slider.min) / (slider.max - slider.min) * size; }

  function move(slider, share) {
    slider.value = Number(slider.min) + Math.min(1, Math.max(0, share)) * (slider.max - slider.min);
  }

  function draw() {
    const x = [place(left, 600), place(right, 600)].sort((a, b) => a - b);
    const y = [place(top, 400), place(bottom, 400)].sort((a, b) => a - b);
    const region = $("region");
    for (const [name, value] of [["x", x[0]], ["y", y[0]], ["width", x[1] - x[0]], ["height", y[1] - y[0]]]) region.setAttribute(name, value);
    region.removeAttribute("hidden");
    const inside = dots.filter(([cx, cy]) => cx >= x[0] && cx <= x[1] && cy >= y[0] && cy <= y[1]).length;
    $("inside").textContent = `${inside} of the ${dots.length} shown`;
  }

  function point(event) {
    const found = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    return [found.x / 600, found.y / 400];
  }

  map.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    from = { at: point(event), moved: false };
  });
  map.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [x, y] = point(event);
    if (!from.moved && Math.hypot(600 * (x - from.at[0]), 400 * (y - from.at[1])) < 6) return;
    if (!from.moved) map.setPointerCapture(event.pointerId);
    from.moved = true;
    move(left, Math.min(x, from.at[0]));
    move(right, Math.max(x, from.at[0]));
    move(top, Math.min(y, from.at[1]));
    move(bottom, Math.max(y, from.at[1]));
    draw();
  });
  for (const name of ["pointerup", "pointercancel"]) map.addEventListener(name, () => { from = null; });
  // A dot is a link: it is followed by a click, and not dragged away.
  map.addEventListener("dragstart", (event) => event.preventDefault());
  for (const slider of [left, top, right, bottom]) {
    slider.addEventListener("input", draw);
    slider.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!steps) return;
      event.preventDefault();
      slider.value = Number(slider.value) + steps * Number(slider.dataset.step);
      draw();
    });
  }
  draw();
}
