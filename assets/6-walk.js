// Walking through what is listed by keyboard: arrows and Enter, in the gallery and in the table, and the focus that stays
// there when either is drawn anew.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  /** @type {{in: "gallery", at: number} | {in: "table", row: number, column: string} | null} */
  let last = null; // where the keyboard was: {in: "gallery", at: number} or {in: "table", row, column}
  let picked = false;

  const tiles = () => Array.from(document.querySelectorAll("#gallery .gf-tile"));
  const grid = () => document.querySelector("#table .gf-grid");
  const rowOf = (cell, name) => gf.around(cell, ".ag-row").getAttribute(name) || "";
  function api() {
    const shown = grid();
    return shown && window.dash_ag_grid ? window.dash_ag_grid.getApi(shown.id) : null;
  }
  gf.grid = api;

  // The grid's own sort, taken back: it asks for the rows in their own order by itself.
  gf.unsort = function () {
    const found = api();
    if (found) found.applyColumnState({ defaultState: { sort: null } });
  };

  document.addEventListener("keydown", function (event) {
    const tile = event.target.closest("#gallery .gf-tile");
    const cell = event.target.closest("#table .ag-cell");
    if (tile && /^(Arrow|Home$|End$)/.test(event.key)) {
      const all = tiles();
      const next = all[gf.pure.tileAt(all.map((t) => t.getBoundingClientRect()), all.indexOf(tile), event.key)];
      event.preventDefault();
      if (next) next.focus();
    } else if (tile && event.key === "Enter") {
      picked = true;
    } else if (cell && event.key === "Enter") {
      const row = rowOf(cell, "row-id");
      picked = true;
      if (/^[0-9]+$/.test(row)) gf.send({ is: "pick", row: Number(row), build: gf.build });
    }
  });

  document.addEventListener("focusin", function (event) {
    const tile = event.target.closest("#gallery .gf-tile");
    const cell = event.target.closest("#table .ag-cell");
    if (tile) last = { in: "gallery", at: tiles().indexOf(tile) };
    else if (cell) last = { in: "table", row: Number(rowOf(cell, "row-index")), column: cell.getAttribute("col-id") || "" };
    else last = null;
  });
  // A hand that lets go, or Escape, leaves the list.
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest("#gallery, #table")) last = null; });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") last = null; }, true);

  // Drawn anew, the list has the focus that it had. A galaxy that was chosen in a list that is ordered by it is followed to
  // the list's beginning; a list that keeps its order keeps its place.
  function restore() {
    if (!last || document.activeElement !== document.body || document.querySelector(".gf-gallery [data-dash-is-loading]")) return;
    if (last.in === "gallery") {
      const all = tiles();
      const tile = all[picked ? 0 : Math.min(last.at, all.length - 1)];
      if (!tile) return;
      picked = false;
      tile.focus({ preventScroll: false });
    } else {
      const found = api();
      if (!found || !found.getDisplayedRowCount || !document.querySelector("#table .ag-row .ag-cell")) return;
      const kept = gf.get("table").sort || !["most", "varied", "least"].includes(gf.get("order"));
      const row = picked && !kept ? 0 : Math.min(last.row, found.getDisplayedRowCount() - 1);
      const column = last.column;
      picked = false;
      found.ensureIndexVisible(row, "middle");
      found.setFocusedCell(row, column);
    }
  }
  new MutationObserver(() => last && window.requestAnimationFrame(restore)).observe(document.documentElement, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["data-dash-is-loading"],
  });
})();
