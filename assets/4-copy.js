// A click copies a value, and says so where it was made. Pages over plain HTTP have no clipboard of their own: what is
// selected in a field goes there all the same.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const SAID_MS = 1500;
  const told = Object.assign(document.createElement("div"), { className: "gf-hidden" });
  told.setAttribute("role", "status");
  document.body.append(told);

  function bySelecting(text) {
    const field = Object.assign(document.createElement("textarea"), { value: text, className: "gf-hidden", readOnly: true });
    const before = document.activeElement;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (before instanceof HTMLElement) before.focus();
    return done;
  }

  async function copied(text) {
    try {
      if (navigator.clipboard) return await navigator.clipboard.writeText(text).then(() => true);
    } catch {
      // Not allowed here: the older way may be.
    }
    return bySelecting(text);
  }

  async function copy(text, element) {
    const done = await copied(text);
    element.dataset.copied = done ? "copied" : "not copied: your browser forbids it";
    told.textContent = done ? "Copied " + text : element.dataset.copied;
    window.setTimeout(() => delete element.dataset.copied, SAID_MS);
  }

  gf.local.copy = (e, element) => copy(e.text, element);
  gf.local.share = (_, element) => copy(window.location.href, element);
})();
