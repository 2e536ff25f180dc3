// Fields of drawers and menus: an answer that arrives while one types draws them anew. Text, caret and focus stay, and
// what is half typed is not sent.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const FIELDS = ["text", "search"].map((type) => `#drawer input[type=${type}], .gf-menu input[type=${type}]`).join();
  const LATER = "#expression, #subset-name, .gf-search"; // fields that are left without being sent
  const kept = {}; // of each field by its name: the text, the condition that held then, whether the text has gone out
  const known = new WeakSet();
  const restored = new WeakSet(); // fields in which a browser sees no change: it was typed into the ones before them
  const checked = new WeakSet(); // changes that were looked at
  /** @type {HTMLInputElement | null} */
  let last = null; // the field that has the focus

  const isField = (element) => element.matches && element.matches(FIELDS);
  const nameOf = (field) => field.id || field.dataset.name;

  // React keeps its own idea of a field's value: it is told by the setter that it has wrapped.
  gf.write = function (field, text) {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set?.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  };
  // What was typed has gone to the server: once all is answered, the field shows what is in force.
  gf.typed = function (field) {
    if (kept[nameOf(field)]) kept[nameOf(field)].sent = true;
  };

  function renew(field) {
    known.add(field);
    const one = kept[nameOf(field)];
    const before = last && nameOf(last) === nameOf(field) ? last : null;
    if (before) {
      last = field;
      if (document.activeElement === document.body) field.focus({ preventScroll: true });
    }
    const over = one && field.id === "expression" && !before && one.condition !== gf.get("expression");
    if (one && (over || (one.sent && gf.idle()))) delete kept[nameOf(field)];
    else if (one && one.text !== field.value) {
      restored.add(field);
      gf.write(field, one.text);
    }
    if (before && before.value === field.value) field.setSelectionRange(before.selectionStart, before.selectionEnd);
  }
  new MutationObserver(() => document.querySelectorAll(FIELDS).forEach((field) => known.has(field) || renew(field)))
    .observe(document.documentElement, { childList: true, subtree: true });

  window.addEventListener("input", function (event) {
    if (isField(event.target)) kept[nameOf(event.target)] = { text: event.target.value, condition: gf.get("expression") };
  }, true);
  window.addEventListener("focusin", (event) => { last = isField(event.target) ? event.target : null; }, true);

  // A field that is taken away says that it has changed and that it was left, as if by hand, while it is still there.
  function changed(field) {
    const event = new Event("change", { bubbles: true });
    checked.add(event);
    restored.delete(field);
    if (!field.matches(LATER)) gf.typed(field);
    field.dispatchEvent(event);
  }
  window.addEventListener("change", function (event) {
    const field = event.target;
    if (!isField(field) || checked.has(event)) return;
    event.stopImmediatePropagation();
    queueMicrotask(() => field.isConnected && changed(field));
  }, true);
  const left = (field) => window.setTimeout(() => field.isConnected && restored.has(field) && changed(field));
  window.addEventListener("focusout", function (event) {
    const field = event.target;
    if (!isField(field)) return;
    left(field);
    queueMicrotask(() => { if (field.isConnected && last === field) last = null; });
  }, true);
  window.addEventListener("keydown", (event) => { if (event.key === "Enter" && isField(event.target)) left(event.target); }, true);
})();
