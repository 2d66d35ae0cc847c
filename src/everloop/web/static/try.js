// A picture is dropped, pasted or chosen; the answer is drawn on it. All text is set as text.
"use strict";
const $ = (id) => document.getElementById(id);
const csrf = document.querySelector("meta[name=csrf]").content;
let prediction = "";

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

async function post(path, body, type) {
  const answer = await fetch(path, { method: "POST", headers: { "content-type": type, "x-everloop-csrf": csrf }, body });
  const told = await answer.json();
  if (!answer.ok) throw new Error(`${told.error.message}; ${told.error.remedy}`);
  return told;
}

async function ask(body, type) {
  trouble("");
  $("waiting").textContent = "Asking ...";
  $("waiting").hidden = false;
  try {
    const told = await post("/try", body, type);
    tell(told);
    return told;
  } catch (error) {
    $("answer").hidden = true;
    $("waiting").textContent = "There is no answer.";
    trouble(error.message);
    return null;
  }
}

function tell(told) {
  prediction = told.prediction_id;
  $("waiting").hidden = true;
  $("answer").hidden = false;
  const boxes = told.boxes ? `${told.boxes.length} found` : "";
  const several = told.labels ? told.labels.join(", ") || "none" : "";
  $("said").textContent = told.label || several || boxes || (told.value === undefined ? "" : String(told.value));
  const sure = typeof told.confidence === "number" ? `${(100 * told.confidence).toFixed(1)}% sure, ` : "";
  $("whose").textContent = `${sure}by ${told.role} ${told.bundle.slice(0, 8)}`;
  $("chain").href = `/trace/${told.prediction_id}`;
  $("likely").replaceChildren(...told.probabilities.flatMap(([name, share]) => {
    const label = document.createElement("span"), meter = document.createElement("meter"), figure = document.createElement("span");
    label.textContent = name;
    meter.value = share;
    meter.setAttribute("aria-label", name);
    figure.textContent = `${(100 * share).toFixed(1)}%`;
    return [label, meter, figure];
  }));
  if ($("thanks")) $("thanks").textContent = "";
}

async function show(file) {
  const picture = await createImageBitmap(file);
  const canvas = $("canvas");
  const grow = Math.max(1, Math.floor(320 / Math.max(picture.width, picture.height)));
  canvas.width = picture.width * grow;
  canvas.height = picture.height * grow;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingEnabled = grow === 1;
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  $("tried").hidden = false;
  return pen;
}

// Edges are shares of the picture.
function drawBoxes(pen, boxes) {
  const thick = Math.max(2, pen.canvas.width / 250);
  pen.lineWidth = thick;
  pen.font = `bold ${8 * thick}px system-ui, sans-serif`;
  for (const box of boxes) {
    const { width, height } = pen.canvas;
    const [left, top, right, bottom] = [box.left * width, box.top * height, box.right * width, box.bottom * height];
    pen.strokeStyle = "#ffb020";
    pen.strokeRect(left, top, right - left, bottom - top);
    const text = `${box.label} ${Math.round(100 * box.score)}%`;
    pen.fillStyle = "#16202e";
    pen.fillRect(left, Math.max(0, top - 10 * thick), pen.measureText(text).width + 4 * thick, 10 * thick);
    pen.fillStyle = "#ffffff";
    pen.fillText(text, left + 2 * thick, Math.max(8 * thick, top - 2 * thick));
  }
}

async function take(file) {
  if (!file) return;
  let drawn = null;
  $("tried").hidden = true;
  try { drawn = await show(file); } catch (error) { /* The service says what is wrong with it. */ }
  const told = await ask(file, "application/octet-stream");
  if (told && drawn && told.boxes) drawBoxes(drawn, told.boxes);
}

if ($("drop")) {
  const drop = $("drop");
  for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const name of ["dragleave", "drop"]) drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.remove("over"); });
  drop.addEventListener("drop", (event) => take(event.dataTransfer.files[0]));
  document.addEventListener("paste", (event) => take([...event.clipboardData.files][0]));
  $("file").addEventListener("change", () => take($("file").files[0]));
  $("choose").addEventListener("click", () => $("file").click());
}
if ($("row-form")) $("row-form").addEventListener("submit", (event) => { event.preventDefault(); ask($("row").value, "application/json"); });
if ($("wrong")) $("wrong").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await post("/try/wrong", JSON.stringify({ prediction, value: $("right").value }), "application/json");
    $("thanks").textContent = "Noted: the loop learns from it.";
  } catch (error) { $("thanks").textContent = error.message; }
});
for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", async () => {
  const shown = $(button.dataset.copy);
  try { await navigator.clipboard.writeText(shown.textContent); button.textContent = "Copied"; } catch (error) { getSelection().selectAllChildren(shown); button.textContent = "Selected: copy it"; }
});
