// Labels of clusters on the map, and of the survey's outline on the sky: each says what it means where the mouse rests or
// the keyboard arrives; Enter shows the cluster. They let the mouse through, so that the map is panned and points are met beneath them.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const LABELS = ".gf-graph .infolayer .annotation[data-why]:not(.gf-crowded)";
  /** @type {string | null | undefined} */
  let focused = null; // the event of the cluster whose label has the focus: plotly draws labels anew at every move
  /** @type {HTMLElement | null} */
  let over = null;
  const EDGE_PX = 2;
  const labels = () => /** @type {HTMLElement[]} */ (Array.from(document.querySelectorAll(LABELS)));
  /** @param {string} text of plotly's markup */
  const plain = (text) => text.replace(/<br>/g, ", ").replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
  /** @param {EventTarget | null} target @returns {HTMLElement | null} */
  const labelOf = (target) => (target instanceof Element ? target.closest(LABELS) : null);

  // Each word stays where it can be read in a panel of any size: aside at an edge, and away where it would lie on another.
  function lay(gd) {
    const room = gd.getBoundingClientRect();
    const words = /** @type {HTMLElement[]} */ (Array.from(gd.querySelectorAll(".infolayer .annotation[data-event]")));
    words.forEach((word) => (word.style.transform = ""));
    const found = gf.pure.apart(words.map((word) => word.getBoundingClientRect()), { left: room.left + EDGE_PX, right: room.right - EDGE_PX });
    words.forEach(function (word, at) {
      word.classList.toggle("gf-crowded", found[at] === null);
      if (found[at]) word.style.transform = `translateX(${found[at]}px)`;
    });
  }

  function tell(gd) {
    gd.querySelectorAll(".infolayer .annotation").forEach(function (label) {
      const { name, hovertext, text } = gd.layout.annotations[Number(label.dataset.index)] || {};
      if (!hovertext) return;
      label.dataset.why = hovertext;
      if (name) label.dataset.event = JSON.stringify({ is: "cluster", label: Number(name) });
      Object.entries({ tabindex: "0", role: name ? "button" : "note", "aria-label": plain(text) }).forEach(([key, value]) => label.setAttribute(key, value));
    });
    lay(gd);
    const again = focused && document.activeElement === document.body && labels().find((label) => label.dataset.event === focused);
    if (again) again.focus({ preventScroll: true });
  }

  gf.signs = { attach: (gd) => { gf.above.DRAWN.forEach((drawn) => gd.on(drawn, () => tell(gd))); tell(gd); } };

  document.addEventListener("focusin", function (event) {
    focused = labelOf(event.target)?.dataset.event;
  });
  document.addEventListener("pointerdown", () => { focused = null; });
  document.addEventListener("keydown", function (event) {
    const label = labelOf(event.target);
    if (label && label.dataset.event && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      gf.send(JSON.parse(label.dataset.event));
    }
  });
  document.addEventListener("pointermove", function (event) {
    const inside = event.pointerType === "mouse" && !event.buttons && event.target instanceof Element && event.target.closest(".gf-graph");
    const found = (inside ? labels() : []).find(function (label) {
      const box = label.getBoundingClientRect();
      return event.clientX > box.left && event.clientX < box.right && event.clientY > box.top && event.clientY < box.bottom;
    }) || null;
    if (found === over) return;
    over = found;
    gf.explain(found, () => over === found);
  });
})();
