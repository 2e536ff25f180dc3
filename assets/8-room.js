// Room: each head shows words beside its icons where there is room, the icons alone where there is less, and folds its
// tools into a menu where there is none. Measured, so that it holds at any size of window and text.
(function () {
  "use strict";
  const HEADS = ".gf-header, .gf-panel > header";
  const LEVELS = ["words", "icons", "folded"];

  // Whatever can be used lies inside the head, and nothing over anything else.
  function fits(head) {
    const room = head.getBoundingClientRect();
    let reached = room.left;
    for (const part of head.querySelectorAll(":scope > *, .gf-fold > div > *")) {
      const box = part.getBoundingClientRect();
      if (box.width <= 1 || part.matches(".gf-fold")) continue;
      // Examples that would have to be scrolled to.
      if (part.matches(".gf-examples") && part.scrollWidth > part.clientWidth + 1 && !part.querySelector(".gf-menu")) return false;
      if (box.right > room.right + 0.5 || box.left < reached - 0.5) return false;
      reached = box.right;
    }
    return true;
  }

  function fold(head, folded) {
    head.querySelectorAll("details.gf-fold").forEach(function (menu) {
      if (menu.classList.contains("gf-menu") === folded) return;
      menu.classList.toggle("gf-menu", folded);
      menu.querySelector("div").removeAttribute("style");
      menu.open = !folded;
    });
  }

  function settle(head) {
    if (!head.offsetWidth) return;
    // An open menu stays where it is until it is dismissed.
    if (head.querySelector("details.gf-fold.gf-menu[open]")) return;
    for (const level of LEVELS) {
      head.dataset.room = level;
      fold(head, level === "folded");
      if (level === "folded" || fits(head)) break;
    }
    head.parentElement.style.setProperty("--gf-head", head.offsetHeight + "px");
  }

  const sizes = new ResizeObserver((changes) => changes.forEach((change) => settle(change.target)));
  const contents = new MutationObserver((changes) => new Set(changes.map((c) => c.target instanceof Element && c.target.closest(HEADS))).forEach((head) => head && settle(head)));

  // What the page shows decides which choices a head has.
  const page = new MutationObserver(() => document.querySelectorAll(HEADS).forEach(settle));

  (function wait() {
    const heads = document.querySelectorAll(HEADS);
    if (!heads.length) return window.setTimeout(wait, 30);
    heads.forEach(function (head) {
      sizes.observe(head);
      contents.observe(head, { childList: true, subtree: true });
    });
    page.observe(window.galaxyFinder.one("#page"), { attributeFilter: ["class"] });
  })();

  // A tool was chosen from the menu: it goes, and what it does is seen.
  document.addEventListener("click", function (event) {
    const menu = event.target.closest("details.gf-fold.gf-menu[open]");
    if (!menu || !event.target.closest("button, a")) return;
    [menu, ...menu.querySelectorAll("details")].forEach((one) => (one.open = false));
  });
})();
