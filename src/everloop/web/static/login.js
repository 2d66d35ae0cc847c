// A token may come after the "#" of the address: that part is never sent to the server.
"use strict";
const given = decodeURIComponent(location.hash.slice(1));
if (given) {
  history.replaceState(null, "", location.pathname);
  document.getElementById("token").value = given;
  document.getElementById("log-in").submit();
}
