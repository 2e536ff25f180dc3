// Links to the page of Aladin Lite take along what is selected now: the state stands in this page's own address.
(function () {
  "use strict";

  function takeAlong(event) {
    const link = event.target instanceof Element ? event.target.closest("a.gf-aladin") : null;
    if (!(link instanceof HTMLAnchorElement)) return;
    const address = new URL(link.href);
    const state = new URLSearchParams(window.location.search).get("s");
    if (state) address.searchParams.set("s", state);
    else address.searchParams.delete("s");
    link.href = address.href;
  }

  // In the capturing phase, so that whoever opens it in another tab gets it too.
  for (const name of ["click", "auxclick", "contextmenu"]) document.addEventListener(name, takeAlong, true);
})();
