// Explanations: whatever carries data-why says it where the mouse rests, a finger taps or the keyboard arrives.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const REST_MS = 350;
  const note = Object.assign(document.createElement("div"), { id: "explanation", className: "gf-explanation", hidden: true });
  note.setAttribute("role", "tooltip");
  let resting = 0;
  /** @type {HTMLElement | null} */
  let told = null; // what is being explained
  let pointer = ""; // where the mouse was last

  function show(element, at) {
    // A menu that is open says itself what it holds.
    if (!element.isConnected || !element.dataset.why || element.matches("details[open] > summary")) return;
    hide();
    told = element;
    document.body.append(note);
    note.textContent = element.dataset.why;
    note.hidden = false;
    // A name that says the same is not read twice.
    const named = at.closest("[aria-label]");
    if (!named || named.getAttribute("aria-label") !== element.dataset.why) at.setAttribute("aria-describedby", note.id);
    place(element);
  }

  function place(element) {
    const box = element.getBoundingClientRect();
    const below = box.bottom + 6 + note.offsetHeight <= window.innerHeight;
    const left = Math.min(box.left, window.innerWidth - note.offsetWidth - 8);
    note.style.left = Math.max(8, left) + "px";
    note.style.top = Math.max(4, below ? box.bottom + 6 : box.top - 6 - note.offsetHeight) + "px";
  }

  function hide() {
    window.clearTimeout(resting);
    if (told) document.querySelectorAll(`[aria-describedby="${note.id}"]`).forEach((e) => e.removeAttribute("aria-describedby"));
    told = null;
    note.hidden = true;
  }

  // The keyboard scrolls to what it reaches, and the note stays with it.
  function moved(event) {
    if (told && event.type === "scroll" && document.activeElement && document.activeElement.contains(told)) place(told);
    else if (told) hide();
  }

  // What lies under the mouse without being met by it.
  gf.explain = function (element, isStill) {
    hide();
    if (element) resting = window.setTimeout(() => isStill() && show(element, element), REST_MS);
  };

  // A head of the table is drawn by the grid, which knows what its column means.
  function learn(target) {
    const head = target.closest && target.closest("#table .ag-header-cell");
    if (!head || head.dataset.why !== undefined) return;
    const column = gf.grid() && gf.grid().getColumn(head.getAttribute("col-id"));
    const { why } = (column && column.getColDef().context) || {};
    head.dataset.why = why || "";
  }
  ["pointerover", "focusin"].forEach((name) => document.addEventListener(name, (event) => learn(event.target), true));

  const why = (target) => (target.closest ? target.closest("[data-why]") : null);
  document.addEventListener("pointerover", function (event) {
    // What is drawn anew under a mouse that rests takes nothing from the keyboard.
    const here = event.screenX + " " + event.screenY;
    if (here === pointer && told && document.activeElement?.contains(told)) return;
    pointer = here;
    const element = why(event.target);
    if (element && element === told) return;
    hide();
    if (element && event.pointerType === "mouse") resting = window.setTimeout(() => element.matches(":hover") && show(element, element), REST_MS);
  });
  document.addEventListener("focusin", function (event) {
    if (!event.target.matches(":focus-visible")) return;
    // A button whose figure is inside it explains that figure.
    const element = why(event.target) || event.target.querySelector("[data-why]");
    if (element && event.target.matches("button, a, summary, [tabindex]")) show(element, event.target);
  });
  document.addEventListener("click", function (event) {
    const figure = event.pointerType === "touch" && event.target.closest(".gf-figure");
    if (figure) show(figure, figure);
  });
  document.addEventListener("focusout", hide);
  document.documentElement.addEventListener("pointerleave", hide);
  ["scroll", "pointerdown", "wheel"].forEach((name) => document.addEventListener(name, moved, { capture: true, passive: true }));
  ["keydown", "toggle"].forEach((name) => window.addEventListener(name, hide, true));
})();
