// Menus: open until somebody dismisses them, by a click elsewhere or Escape, however often they are drawn anew.
(function () {
  "use strict";
  const MENU = "details.gf-menu";
  let open = ""; // the classes of the menu that is open: they name it
  let at = -1; // which of its fields and buttons has the focus

  const items = (menu) => Array.from(menu.querySelectorAll("summary, button, input, a"));
  document.addEventListener("focusin", function (event) {
    const menu = event.target.closest(MENU + "[open]");
    at = menu ? items(menu).indexOf(event.target) : -1;
  });

  // All columns of a galaxy, once unfolded, are unfolded of the next: they are drawn anew.
  const FACTS = "#details > details.gf-all-facts";
  let unfolded = false;
  /** @type {HTMLDetailsElement | null} */
  let facts = null;
  new MutationObserver(function () {
    const now = document.querySelector(FACTS);
    if (now === facts) return;
    facts = now;
    if (facts && unfolded) facts.open = true;
  }).observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener("toggle", function (event) {
    if (event.target === facts && facts && facts.isConnected) unfolded = facts.open;
    if (!event.target.matches(MENU) || !event.target.isConnected) return;
    if (event.target.open) {
      open = event.target.className;
      place(event.target);
    }
    else if (open === event.target.className) open = "";
  }, true);

  // Inside the window, whatever its panel cuts off.
  function place(menu) {
    const head = menu.querySelector("summary").getBoundingClientRect();
    const list = menu.querySelector("div");
    Object.assign(list.style, { position: "fixed", right: "auto", left: "0", top: "0", maxWidth: "calc(100vw - 16px)", overflow: "auto" });
    const left = Math.max(8, Math.min(head.left, window.innerWidth - list.offsetWidth - 8));
    const below = window.innerHeight - head.bottom - 8;
    const above = head.top - 8;
    const over = below < Math.min(list.scrollHeight, 240) && above > below;
    // As high as there is room, not as it is now: lists of words come later.
    Object.assign(list.style, {
      left: left + "px", maxHeight: (over ? above : below) + "px",
      top: over ? "auto" : head.bottom + "px", bottom: over ? window.innerHeight - head.top + "px" : "auto",
    });
  }
  window.addEventListener("resize", () => document.querySelectorAll(MENU + "[open]").forEach(place));

  function dismiss() {
    open = "";
    document.querySelectorAll(`${MENU}[open]`).forEach((menu) => (menu.open = false));
  }
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest(MENU + "[open]")) dismiss(); });
  // Before the page's own Escape, which would clear what is selected.
  window.addEventListener("keydown", function (event) {
    if (event.key !== "Escape" || !document.querySelector(MENU + "[open]")) return;
    event.stopImmediatePropagation();
    dismiss();
  }, true);

  new MutationObserver(function () {
    if (!open) return;
    const menu = Array.from(document.querySelectorAll(MENU)).find((one) => one.className === open);
    if (!menu || menu.open) return;
    menu.open = true;
    // Lists of words look after themselves: they come and go.
    const focused = document.activeElement === document.body && !menu.querySelector("[data-words]") && items(menu)[at];
    if (focused) focused.focus({ preventScroll: true });
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
