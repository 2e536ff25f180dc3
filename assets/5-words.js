// Words as buttons, drawn from a compact list: a click takes one into its column's filter or out of it; a field looks for
// some among many. Each answer brings the lists anew: what was looked for (5-typed.js), what was scrolled to and what had
// the focus stay.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const LIST = "[data-words]";
  const SCROLLED = ".gf-words, .gf-legend-row";
  const kept = {}; // of each list by its name: where it was scrolled to
  /** @type {WeakMap<Element, string>} */
  const known = new WeakMap(); // what each list shows
  /** @type {{list?: string, word?: string} | null} */
  let last = null; // what has the focus: {list, word}

  gf.local.word = function (event) {
    const filter = gf.get("filters").find((one) => one.column === event.column);
    const before = (filter && filter.values) || [];
    const values = before.includes(event.word) ? before.filter((word) => word !== event.word) : [...before, event.word];
    gf.send({ is: "filter", column: event.column, values: values });
  };

  const memory = (list) => (kept[list.dataset.words] = kept[list.dataset.words] || { x: 0, y: 0 });

  function show(list, text) {
    const sought = text.trim().toLowerCase();
    list.querySelectorAll(".gf-word").forEach((word) => (word.hidden = !word.dataset.word.toLowerCase().includes(sought)));
  }

  function button(column, [word, on, color, percent, count]) {
    const made = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
    const one = Object.assign(made("button", ""), { type: "button", className: on ? "gf-word on" : "gf-word", ariaPressed: String(on) });
    Object.assign(one.dataset, { word: word, event: JSON.stringify({ is: "local", do: "word", column: column, word: word }) });
    const mark = made("i", "");
    if (color) mark.style.background = color; else mark.style.width = percent + "%";
    one.append(...(color ? [mark, made("span", word)] : [made("span", word), mark, made("b", count)]));
    return one;
  }

  const filled = (list) => list.matches("[data-list]") ? list : list.querySelector("[data-list]");

  function renew(list) {
    const { column, list: entries } = filled(list).dataset;
    known.set(list, entries);
    filled(list).replaceChildren(...JSON.parse(entries).map((entry) => button(column, entry)));
    const { x, y } = memory(list);
    const place = list.querySelector(".gf-search-place");
    const sought = list.querySelector(".gf-search");
    if (sought) show(list, sought.value);
    else if (place) {
      const { label } = place.dataset;
      const field = Object.assign(document.createElement("input"), { type: "search", placeholder: label, ariaLabel: label, maxLength: 200, className: "form-control form-control-sm gf-search" });
      field.dataset.name = "search " + list.dataset.words;
      field.addEventListener("input", () => show(list, field.value));
      place.append(field);
    }
    const scrolled = list.matches(SCROLLED) ? list : list.querySelector(SCROLLED);
    Object.assign(scrolled, { scrollLeft: x, scrollTop: y });
    if (!last || last.list !== list.dataset.words || document.activeElement !== document.body) return;
    const focused = Array.from(list.querySelectorAll(".gf-word")).find((word) => word.dataset.word === last?.word);
    if (focused) focused.focus({ preventScroll: true });
  }
  new MutationObserver(() => document.querySelectorAll(LIST).forEach((list) => known.get(list) === filled(list).dataset.list || renew(list)))
    .observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ["data-list"] });

  document.addEventListener("scroll", function (event) {
    const list = event.target.closest && event.target.matches(SCROLLED) && event.target.closest(LIST);
    if (list) Object.assign(memory(list), { x: event.target.scrollLeft, y: event.target.scrollTop });
  }, true);
  // A row is longer than it is high: the wheel moves it along.
  document.addEventListener("wheel", function (event) {
    const row = event.target.closest(".gf-legend-row");
    if (!row || event.shiftKey || row.scrollWidth <= row.clientWidth) return;
    row.scrollLeft += event.deltaY;
    event.preventDefault();
  }, { passive: false });
  document.addEventListener("focusin", function (event) {
    const list = event.target.closest(LIST);
    last = list && { list: list.dataset.words, word: event.target.dataset.word };
  });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest(LIST)) last = null; });

  // What a text has to hold.
  document.addEventListener("change", function (event) {
    if (event.target.matches(".gf-holds")) gf.send({ is: "filter", column: gf.around(event.target, ".gf-filter").dataset.column || "", text: event.target.value.trim() });
  });
})();
