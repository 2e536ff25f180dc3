// The gallery's tiles: the server tells what is listed as numbers and texts (`GalleryList` of dashboard/views/gallery.py), and
// they are drawn here, a thousand as fast as a dozen. A tile that is there stands for another galaxy from then on, so that
// it keeps the keyboard.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const MOST_CAPTIONS = 3; // as of the state
  const tiles = () => Array.from(document.querySelectorAll("#gallery > .gf-tile"));

  function fresh() {
    const tile = document.createElement("button");
    tile.type = "button";
    tile.className = "gf-tile";
    const image = document.createElement("img");
    image.draggable = false;
    tile.append(image);
    return tile;
  }

  // The line under an image, made and dropped as needed.
  function line(tile, kind, text, why) {
    let found = tile.querySelector("." + kind.replace(" ", "."));
    if (!text) return found && found.remove();
    if (!found) tile.append((found = Object.assign(document.createElement("span"), { className: kind })));
    if (found.textContent !== text) found.textContent = text;
    if (why) found.dataset.why = why;
  }

  /** @param {GalleryList} list */
  function fill(tile, list, at) {
    const [row, id] = [list.rows[at], list.ids[at]];
    const image = gf.one("img", tile);
    const address = `/cutout/${list.build}/${row}.webp`;
    image.alt = `galaxy ${id}, number ${at + 1}`;
    image.dataset.row = tile.dataset.row = String(row);
    tile.dataset.id = id;
    tile.dataset.event = JSON.stringify({ is: "pick", row: row, build: list.build });
    if (image.dataset.src !== address) image.dataset.src = address; // what is written is heard by 4-images.js
    const mark = (list.marks[at] || "").split(" ");
    ["wanted", "unwanted", "current"].forEach((name) => tile.classList.toggle(name, mark.includes(name)));
    line(tile, "gf-score", list.scores[at], list.whys[at] || list.whys[0]);
    line(tile, "gf-reason", list.words[at]);
    for (let nth = 0; nth < MOST_CAPTIONS; nth++) {
      const [why, values] = list.captions[nth] || ["", []];
      line(tile, "gf-caption nth-" + nth, values[at], why);
    }
  }

  function draw() {
    const told = document.querySelector("#gallery-told > [data-list]");
    const before = tiles();
    /** @type {GalleryList} */
    const list = { rows: [], ids: [], scores: [], whys: [], words: [], captions: [], marks: {}, build: "", ...(told ? JSON.parse(told.dataset.list || "") : {}) };
    before.slice(list.rows.length).forEach((tile) => tile.remove());
    const more = list.rows.slice(before.length).map(fresh);
    before.slice(0, list.rows.length).concat(more).forEach((tile, at) => fill(tile, list, at));
    gf.one("#gallery").append(...more);
  }

  // As soon as Dash has written, so that no page is taken for drawn that is not.
  const change = new MutationObserver((changes) => {
    if (changes.some((one) => one.target instanceof Element && one.target.closest("#gallery-told"))) draw();
  });
  change.observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-list"] });
})();
