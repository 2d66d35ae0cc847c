// One button chooses all that is on the page, and the same once more none.
"use strict";
const every = document.getElementById("every");
if (every) {
  const boxes = [...every.form.querySelectorAll("input[type=checkbox]")];
  every.hidden = false;
  every.addEventListener("click", () => {
    const on = boxes.some((box) => !box.checked);
    for (const box of boxes) box.checked = on;
    every.textContent = on ? "Choose none" : "Choose all on this page";
  });
}
