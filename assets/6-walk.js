// Walking through what is listed by keyboard: arrows and Enter, in the gallery and in the table, and the focus that stays
// there when either is drawn anew.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  let last = null; // where the keyboard was: {in: "gallery", at: number} or {in: "table", row, column}
  let picked = false;

  const tiles = () => Array.from(document.querySelectorAll("#gallery .gf-tile"));
  const grid = () => document.querySelector("#table .gf-grid");
  const api = () => (grid() && window.dash_ag_grid ? window.dash_ag_grid.getApi(grid().id) : null);

  // The grid's own sort, taken back: it asks for the rows in their own order by itself.
  gf.unsort = function () {
    const found = api();
    if (found) found.applyColumnState({ defaultState: { sort: null } });
  };

  // The tile above or below is the one of the next line that lies nearest.
  function beside(tile, key) {
    const all = tiles();
    const at = all.indexOf(tile);
    if (key === "Home") return all[0];
    if (key === "End") return all[all.length - 1];
    if (key === "ArrowRight" || key === "ArrowLeft") return all[at + (key === "ArrowRight" ? 1 : -1)];
    const box = tile.getBoundingClientRect();
    const sign = key === "ArrowDown" ? 1 : -1;
    const ahead = all.map((t) => [t, t.getBoundingClientRect()]).filter(([, b]) => sign * (b.top - box.top) > 1);
    const line = Math.min(...ahead.map(([, b]) => sign * (b.top - box.top)));
    const near = ahead.filter(([, b]) => sign * (b.top - box.top) < line + 1);
    near.sort(([, a], [, b]) => Math.abs(a.left - box.left) - Math.abs(b.left - box.left));
    return near.length ? near[0][0] : undefined;
  }

  document.addEventListener("keydown", function (event) {
    const target = event.target.closest ? event.target : null;
    const tile = target && target.closest("#gallery .gf-tile");
    const cell = target && target.closest("#table .ag-cell");
    if (tile && /^(Arrow|Home$|End$)/.test(event.key)) {
      const next = beside(tile, event.key);
      event.preventDefault();
      if (next) next.focus();
    } else if (tile && event.key === "Enter") {
      picked = true;
    } else if (cell && event.key === "Enter") {
      const row = cell.closest(".ag-row").getAttribute("row-id");
      picked = true;
      if (/^[0-9]+$/.test(row)) gf.send({ is: "pick", row: Number(row), build: gf.build });
    }
  });

  document.addEventListener("focusin", function (event) {
    const tile = event.target.closest("#gallery .gf-tile");
    const cell = event.target.closest("#table .ag-cell");
    if (tile) last = { in: "gallery", at: tiles().indexOf(tile) };
    else if (cell) last = { in: "table", row: Number(cell.closest(".ag-row").getAttribute("row-index")), column: cell.getAttribute("col-id") };
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
      const kept = gf.get("table").sort || !["most", "least"].includes(gf.get("order"));
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
