// Every button and link that has a key is pressed by it; fields that have one are gone to.
"use strict";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (["INPUT", "TEXTAREA", "SELECT"].includes(event.target.tagName)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = CSS.escape(event.key.toLowerCase());
  const pressed = document.querySelector(`[data-key="${key}"]`);
  const field = document.querySelector(`[data-focus="${key}"]`);
  if (pressed) pressed.click();
  if (field) field.focus();
  if (pressed || field) event.preventDefault();
});
