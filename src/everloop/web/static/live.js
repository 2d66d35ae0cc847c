// Shows the page as it is now, every few seconds, as long as nobody is typing or choosing in it.
"use strict";
const main = document.getElementById("main");
const every = 1000 * Number(main.dataset.refresh);
async function refresh() {
  const busy = document.hidden || main.contains(document.activeElement) || String(getSelection());
  if (!busy) {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.status === 401) location.reload();
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        main.replaceChildren(...page.getElementById("main").childNodes);
      }
    } catch (error) { /* The server is gone for a moment; what is shown stays. */ }
  }
  setTimeout(refresh, every);
}
setTimeout(refresh, every);
