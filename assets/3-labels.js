// Labels: a key gives the galaxy at hand a label, at once for the eye; the server's word follows. What it has not
// acknowledged stays here, over reloads too, and is sent again under the same id until it is.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const QUEUE = "gf-labels-unsent";
  const WHO = "gf-who";
  const MOST_AT_ONCE = 50;
  const MOST_ROWS = 500;
  const GRADES = ["", "A", "B", "C"];
  const NOBODY = "Choose a galaxy first: walk through the gallery, or click one.";
  const STIR_PX = 6; // less is no move
  const RETRY_MS = [500, 1000, 2000, 5000];
  let revision = 0;
  /** @type {{[key: number]: {label: string, color: string}}} */
  let classes = {};
  /** @type {Map<number, Given[]>} */
  let known = new Map(); // by row
  /** @type {Set<number>} */
  let asked = new Set();
  /** @type {Map<string, number>} */
  const rowsOf = new Map(); // the row of each act of this page, by the act's name
  let sending = false;
  let failures = 0;
  let alone = 0; // how many acts next go out one by one
  /** @type {{act: () => void, tile: HTMLElement | null, drawer: string} | null} */
  let then = null; // what waits for a name

  const stored = (name) => window.localStorage.getItem(name);
  const unsent = () => JSON.parse(stored(QUEUE) || "[]");
  const hold = (entries) => window.localStorage.setItem(QUEUE, JSON.stringify(entries));
  const say = (text) => window.dash_clientside.set_props("toast", { children: text, is_open: true });
  const who = () => (stored(WHO) || "").trim();
  const tiles = () => Array.from(document.querySelectorAll("#gallery .gf-tile[data-id]"));
  const many = (n) => n.toLocaleString("en");
  const colorOf = (label) => (Object.values(classes).find((c) => c.label === label) || { color: "#b9c2cd" }).color;

  // Whether an act of this page is still under way, so that no answer knows better what a galaxy's labels are.
  const isAhead = (row) => unsent().some((entry) => rowsOf.get(entry.id) === row);

  // What is told of labels. After acts of this page it holds all that changed since a revision; where that is not known
  // here, somebody else did something meanwhile.
  function learn(told) {
    if (told.revision !== revision && !(told.since !== undefined && told.since <= revision)) asked = new Set();
    revision = told.revision;
    classes = Object.fromEntries(told.classes.map((c) => [c.key, c]));
    Object.entries(told.rows || {}).forEach(([row, given]) => isAhead(Number(row)) || known.set(Number(row), given));
  }

  // The galaxy of a tile, or else that of the details; null where there is none.
  function of(place) {
    if (place && place.matches(".gf-tile")) return { id: place.dataset.id, row: Number(place.dataset.row), tile: place, rank: tiles().indexOf(place) + 1 };
    const image = document.querySelector("#details .gf-portrait img[data-row]");
    return gf.state.focus && image ? { id: gf.state.focus.id, row: Number(image.dataset.row), tile: null, rank: 0 } : null;
  }

  // The tile that has the keyboard, else the one under the mouse, else the galaxy of the details. That one too after a
  // click, until the hand moves on: the list is another then, and what lies under the hand is not what it chose.
  /** @type {{x: number, y: number} | null} */
  let chose = null;
  window.addEventListener("click", function (event) {
    if (event.target.closest("#gallery .gf-tile")) chose = { x: event.clientX, y: event.clientY };
  }, true);
  window.addEventListener("pointermove", function (event) {
    if (chose && Math.hypot(event.clientX - chose.x, event.clientY - chose.y) > STIR_PX) chose = null;
  }, true);
  window.addEventListener("keydown", function (event) {
    if (/^(Arrow|Home$|End$|Tab$)/.test(event.key)) chose = null;
  }, true);

  function atHand() {
    const all = tiles();
    return of(chose ? null : all.find((t) => t === document.activeElement) || all.find((t) => t.matches(":hover")));
  }

  function wait(selector, act) {
    const found = document.querySelector(selector);
    if (found) act(found);
    else window.setTimeout(() => wait(selector, act), 50);
  }

  function inDrawer(selector, text) {
    say(text);
    if (gf.get("drawer") !== "labels") gf.send({ is: "change", drawer: "labels" });
    wait("#drawer " + selector, (field) => field.focus());
  }

  const link = () => new URLSearchParams(window.location.search).get("s") || "";

  const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

  function add(entry, row = -1) {
    const id = newId();
    rowsOf.set(id, row);
    hold(unsent().concat([Object.assign({ id: id, who: who() }, entry)]));
    flush();
  }

  function named(act) {
    if (who()) return act();
    const focused = document.activeElement;
    then = { act: act, tile: focused && focused.closest("#gallery .gf-tile[data-id]"), drawer: gf.get("drawer") };
    inDrawer("#label-who", "Type your name first: labels say who gave them. This browser remembers it.");
  }

  // What this person says of a galaxy.
  const mine = (row) => (known.get(row) || []).find(([, person]) => person === who());

  // Give a galaxy a label, or take it away where there is none: at once for the eye.
  function give(target, label, grade, note) {
    const others = (known.get(target.row) || []).filter(([, person]) => person !== who());
    known.set(target.row, label ? others.concat([[label, who(), grade, note]]) : others);
    asked.add(target.row);
    paint();
    gf.above.redraw();
    const act = { galaxy: target.id, link: link() };
    if (target.rank) act.rank = target.rank;
    add(Object.assign(act, label ? { kind: "label", label: label, grade: grade, note: note } : { kind: "clear" }), target.row);
  }

  // Another grade or note of a label that was given; `change` makes [grade, note] of those before.
  function amend(target, change) {
    named(function () {
      const given = mine(target.row);
      if (!given) return say("Give it a label first: 1 to 9.");
      const [grade, note] = change(given[2], given[3]);
      if (grade !== given[2] || note !== given[3]) give(target, given[0], grade, note);
    });
  }

  gf.grade = function (to, place) {
    const target = place ? of(place) : atHand();
    if (!target) return say(NOBODY);
    amend(target, (grade, note) => [to === undefined ? GRADES[(GRADES.indexOf(grade) + 1) % GRADES.length] : to === grade ? "" : to, note]);
  };

  gf.note = function (place) {
    const target = place ? of(place) : atHand();
    if (!target) return say(NOBODY);
    const given = mine(target.row);
    if (!given) return say("Give it a label first: 1 to 9.");
    const around = target.tile || gf.one("#label-card");
    gf.ask(`Note on ${target.id}`, given[3], around, (text) => amend(target, (grade) => [grade, text]));
  };

  gf.mark = function (sign) {
    const target = atHand();
    if (!target) return say(NOBODY);
    const among = gf.get(sign > 0 ? "wanted" : "unwanted");
    gf.send({ is: "mark", id: target.id, sign: among.some((one) => one.id === target.id) ? 0 : sign });
  };

  gf.label = function (key, place) {
    if (!place && gf.labelTools.waits()) return; // the galaxy that the key means is on its way
    const target = place ? of(place) : atHand();
    if (!target) return say(NOBODY);
    if (key && !classes[key]) return inDrawer(`[data-key="${key}"] input`, `Key ${key} gives no label yet: type one.`);
    named(function () {
      const label = key ? classes[key].label : "";
      const [said, , grade, note] = mine(target.row) || ["", "", "", ""];
      give(target, label, ...(said === label ? [grade, note] : ["", ""]));
      if (target.tile && target.tile === document.activeElement) next(target.tile);
    });
  };

  // Keys 1 and 2 say what is interesting and what is not, as far as they say nothing else.
  gf.local.judge = () => named(function () {
    const [yes, no] = ["interesting", "boring"].map(function (label, at) {
      if (classes[at + 1]) return classes[at + 1].label;
      add({ kind: "class", key: at + 1, label: label });
      return label;
    });
    say(`1 says ${yes}, 2 says ${no}, and leads on to the next. Then order the gallery by “Your labels”.`);
    const first = tiles()[0];
    chose = null;
    if (first) first.focus();
  });

  // What is listed or selected, kept under a name.
  gf.local.collect = function (e) {
    const field = document.querySelector("input#collection-name");
    if (!field) return;
    const name = field.value.trim() || field.placeholder;
    named(() => add({ kind: "collection", label: name.slice(0, 40), of: e.of, link: link() }));
    field.value = "";
  };

  gf.local.collection = (e) => named(() => add({ kind: e.act, label: e.name }));
  gf.local.rename = (e, element) => gf.ask(`Another name for ${e.name}`, e.name, element, function (to) {
    if (to && to !== e.name) named(() => add({ kind: "rename", label: e.name, to: to.slice(0, 40), note: e.note }));
  });
  gf.local.renote = (e, element) => gf.ask(`Note on ${e.name}`, e.note, element, function (note) {
    if (note !== e.note) named(() => add({ kind: "rename", label: e.name, to: e.name, note: note }));
  });

  // A name for a cluster of the build that is shown; without text it has none any more.
  gf.local.namecluster = (e, element) => gf.ask(`Name of cluster ${e.cluster}`, e.name, element, function (name) {
    if (name !== e.name) named(() => add({ kind: "name", label: name.slice(0, 40), cluster: e.cluster, build: gf.build }));
  });
  gf.local.forgetname = (e) => named(() => add({ kind: "name", identity: e.identity, build: gf.build }));

  // A list from elsewhere, pasted or in a file, kept as far as the atlas has its galaxies.
  gf.local.list = function (e) {
    named(function () {
      if (e.of === "text") {
        const field = gf.one("textarea#list-text");
        if (!field.value.trim()) return say("Paste a list first: a position or an id on each line.");
        return bring(field.value, "pasted", () => (gf.one("textarea#list-text").value = ""));
      }
      if (e.file) return bring(e.file, e.file.name);
      const chooser = document.createElement("input");
      chooser.type = "file";
      chooser.addEventListener("change", function () {
        const file = chooser.files && chooser.files[0];
        if (file) bring(file, file.name);
      });
      chooser.click();
    });
  };

  /**
   * @param {string | File} body
   * @param {string} file
   * @param {() => void} [done]
   */
  async function bring(body, file, done) {
    const field = gf.one("input#collection-name");
    const name = field.value.trim() || (body instanceof File && file.replace(/[.].*$/, "")) || field.placeholder;
    const radius = gf.one("input#list-radius").value || "1";
    const about = new URLSearchParams({ name: name.slice(0, 40), who: who(), id: newId(), radius: radius, file: file.slice(0, 200) });
    say("The list is being read…");
    try {
      const response = await window.fetch(`/lists/${gf.build}?${about}`, {
        method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: body,
      });
      const told = await response.json();
      say(told.said || told.error || "The list was refused.");
      if (!response.ok || !told.kept) return;
      gf.write(field, "");
      if (done) done();
      learn(told);
      gf.send({ is: "labels" });
    } catch {
      say("The server does not answer; the list was not kept.");
    }
  }

  gf.unlabel = () => named(() => add({ kind: "undo" }));

  // On to the next without a label, over the end to the beginning; or back to the one before.
  function next(tile, back = false) {
    const all = tiles();
    const at = all.indexOf(tile);
    const others = all.slice(at + 1).concat(all.slice(0, Math.max(at, 0)));
    const ahead = (back ? others.reverse() : others).find((t) => !t.dataset.label);
    if (ahead) ahead.focus();
    else if (all.length && (back || !gf.labelTools.more(all.length))) say(`All ${many(all.length)} galaxies here have a label.`);
  }
  gf.ahead = function (back) {
    const at = atHand();
    chose = null;
    next(at && at.tile, back);
  };

  function flush() {
    if (sending || !unsent().length) return;
    sending = true;
    const batch = unsent().slice(0, alone ? 1 : MOST_AT_ONCE);
    alone = Math.max(0, alone - 1);
    post(batch).then(function (delay) {
      sending = false;
      paint();
      gf.above.redraw();
      window.setTimeout(flush, delay);
    });
  }

  // Send some acts; the answer is after how many milliseconds to go on.
  async function post(batch) {
    let delay = 0;
    try {
      const response = await window.fetch("/labels", {
        method: "POST", keepalive: true, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ entries: batch }),
      });
      const told = await response.json();
      if (response.ok && told.kept) {
        drop(batch);
        failures = 0;
        learn(told);
        gf.send({ is: "labels" });
      } else if (response.status >= 400 && response.status < 500) {
        // Of several acts one is at fault: the others are not to be lost with it.
        if (batch.length > 1) alone = batch.length;
        else {
          drop(batch);
          known.clear();
          asked = new Set();
          say((told.error || "This label was refused.") + " Nothing was changed.");
        }
      } else {
        delay = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)];
        say(told.said || "The server does not take labels at the moment; they wait here and are sent again.");
      }
    } catch {
      delay = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)];
      if (failures > 1) say(`The server does not answer; ${unsent().length} labels wait here and are sent again.`);
    }
    return delay;
  }

  function drop(batch) {
    const done = new Set(batch.map((entry) => entry.id));
    hold(unsent().filter((entry) => !done.has(entry.id)));
    batch.forEach((entry) => rowsOf.delete(entry.id));
  }

  /**
   * Everything on the page that stands for a galaxy and shows its label, with its row.
   * @returns {[HTMLElement, number][]}
   */
  function marked() {
    const portrait = document.querySelector("#details .gf-portrait");
    const image = portrait && portrait.querySelector("img[data-row]");
    /** @type {[HTMLElement, number][]} */
    const found = tiles().map((tile) => [tile, Number(tile.dataset.row)]);
    if (portrait && image) found.push([portrait, Number(image.dataset.row)]);
    return found;
  }

  // What a galaxy's labels come to: `lens ≠ ring`, or one of them with its grades.
  function words(given) {
    const [labels, grades] = [0, 2].map((at) => Array.from(new Set(given.map((one) => one[at]).filter(Boolean))));
    return labels.length > 1 ? labels.join(" ≠ ") : labels.concat(grades.join("/")).filter(Boolean).join(" ");
  }

  function paint() {
    marked().forEach(function ([element, row]) {
      const given = known.get(row) || [];
      const labels = Array.from(new Set(given.map(([label]) => label)));
      const text = words(given);
      const told = given.map(([label, person, grade, note]) => `${label} by ${person}${grade && ", grade " + grade}${note && ": " + note}`).join(", ");
      if ((element.dataset.label || "") === text && (element.getAttribute("aria-description") || "") === (told && "labelled " + told)) return;
      if (text) {
        element.dataset.label = text;
        element.setAttribute("aria-description", "labelled " + told);
        element.style.setProperty("--gf-label", colorOf(labels[0]));
      } else {
        delete element.dataset.label;
        element.removeAttribute("aria-description");
      }
      element.classList.toggle("gf-disputed", labels.length > 1);
    });
    const all = tiles();
    const done = all.filter((tile) => tile.dataset.label).length;
    const progress = document.getElementById("label-progress");
    if (progress) {
      const text = `${many(done)} of ${many(all.length)} labelled`;
      progress.hidden = !done;
      if (progress.textContent !== text) progress.textContent = text; // what is written is heard below
    }
    if (gf.labelTools) gf.labelTools.draw();
    const field = document.querySelector("input#label-who");
    if (field && field !== document.activeElement && !field.value && who()) gf.write(field, who()); // the page's own: drawn anew, it is still there
  }

  async function look() {
    paint();
    const rows = marked().map(([, row]) => row).concat(gf.above.rows()).filter((row) => !asked.has(row));
    if (!rows.length && gf.labelTools && gf.labelTools.grown(tiles().length)) gf.ahead(false);
    if (!revision || !rows.length || !gf.build) return;
    const some = Array.from(new Set(rows)).slice(0, MOST_ROWS);
    some.forEach((row) => asked.add(row));
    try {
      const response = await window.fetch(`/labels/${gf.build}/of.json?rows=${some.join(",")}`);
      if (!response.ok) return;
      const told = await response.json();
      some.forEach((row) => isAhead(row) || known.delete(row));
      learn(told);
      some.forEach((row) => asked.add(row));
      gf.above.redraw();
    } catch {
      some.forEach((row) => asked.delete(row));
    }
    look();
  }

  gf.labels = {
    // The page has just come, or another build's: rows are others.
    boot: function (told) {
      known = new Map();
      learn(told);
      flush();
    },
    seen: function (at) {
      if (at === revision || sending) return;
      revision = at;
      known = new Map(Array.from(known).filter(([row]) => isAhead(row)));
      asked = new Set();
      look();
    },
    revision: () => revision,
    waiting: () => unsent().length,
    of: function (row) {
      const given = known.get(row) || [];
      return given.length ? { text: words(given), color: colorOf(given[0][0]) } : null;
    },
    mine: mine,
    classes: () => Object.entries(classes).map(([key, c]) => ({ key: Number(key), ...c })),
  };

  const remember = (field) => window.localStorage.setItem(WHO, field.value.trim().slice(0, 60));

  document.addEventListener("change", function (event) {
    const field = event.target;
    const section = field.closest && field.closest(".gf-label");
    if (field.id === "label-who") {
      remember(field);
    } else if (section && field.matches("input")) {
      named(() => add({ kind: "class", key: Number(section.dataset.key), label: field.value.trim() }));
    }
  });
  // Enter ends what is typed, and brings back whoever was sent here.
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Enter" || !event.target.closest("#label-who, .gf-label input")) return;
    const isName = event.target.id === "label-who";
    if (isName) remember(event.target); // a field of Dash tells of its change later than this
    event.target.blur();
    if (!isName || !who() || !then) return;
    const { act, tile, drawer } = then;
    then = null;
    window.dash_clientside.set_props("toast", { is_open: false });
    if (drawer && drawer !== gf.get("drawer")) gf.send({ is: "change", drawer: drawer });
    if (tile && tile.isConnected) tile.focus();
    act();
  });

  let due = 0;
  new MutationObserver(function () {
    window.clearTimeout(due);
    due = window.setTimeout(look, 60);
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-id", "data-src"] });
})();
