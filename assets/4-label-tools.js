// Labels by hand instead of by key: buttons beside the galaxy of the details, a bar over the gallery whose button makes a
// tap label, and a line to write a note in. 3-labels.js keeps what is given.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const MOST_WAIT_MS = 5000;
  let full = 0; // how many the gallery listed when it was asked for more
  let armed = 0; // the key that a tap on a tile stands for

  function button(text, label, pressed, event, color) {
    const made = Object.assign(document.createElement("button"), { type: "button", className: "gf-button", textContent: text });
    made.setAttribute("aria-label", label);
    made.setAttribute("aria-pressed", String(pressed));
    made.dataset.event = JSON.stringify({ is: "local", ...event });
    if (color) made.style.setProperty("--gf-label", color);
    return made;
  }

  // Drawn anew only where something changed: whoever is on a button stays there.
  function show(place, about, make) {
    const told = JSON.stringify(about);
    if (!place || place.dataset.told === told) return;
    const focused = place.contains(document.activeElement) && document.activeElement ? document.activeElement.getAttribute("aria-label") : null;
    place.dataset.told = told;
    place.replaceChildren(...make());
    const again = Array.from(place.children).find((one) => focused && one.getAttribute("aria-label") === focused);
    if (again instanceof HTMLElement) again.focus();
  }

  function card() {
    const image = document.querySelector("#details .gf-portrait img[data-row]");
    const classes = gf.labels.classes();
    const [label, , grade, note] = (image && gf.labels.mine(Number(image.dataset.row))) || ["", "", "", ""];
    show(document.getElementById("label-card"), [image && image.dataset.row, classes, label, grade, note], function () {
      if (!classes.length) return [button("label…", "Name labels first (N)", false, { do: "drawer", name: "labels" })];
      const names = classes.map((c) => button(c.label, `Label it ${c.label} (${c.key})`, c.label === label, { do: "label", key: c.label === label ? 0 : c.key }, c.color));
      if (!label) return names;
      const grades = ["A", "B", "C"].map((one) => button(one, `Grade ${one} (D)`, one === grade, { do: "grade", grade: one }));
      const line = Object.assign(document.createElement("span"), { className: "gf-break" });
      return [...names, line, ...grades, button(note || "note…", "Write a note (O)", Boolean(note), { do: "note" })];
    });
  }

  function bar() {
    const classes = gf.labels.classes();
    if (!classes.some((c) => c.key === armed)) armed = 0;
    show(document.getElementById("label-bar"), [classes, armed], () =>
      classes.map((c) => button(c.label, `A tap labels ${c.label}`, c.key === armed, { do: "arm", key: c.key }, c.color)));
  }

  gf.labelTools = {
    draw: function () {
      card();
      bar();
    },
    // All that the gallery lists have a label: it lists more, where there are more; whether it will.
    more: function (count) {
      const size = Array.from(gf.one("select#shown").options, (one) => Number(one.value)).find((one) => one > count);
      if (!size || count < gf.get("shown")) return false;
      full = count;
      window.setTimeout(() => (full = 0), MOST_WAIT_MS);
      gf.send({ is: "change", shown: size });
      return true;
    },
    waits: () => full > 0,
    grown: function (count) {
      const more = full > 0 && count > full;
      if (more) full = 0;
      return more;
    },
  };
  gf.local.label = (e, element) => gf.label(e.key, element);
  gf.local.grade = (e, element) => gf.grade(e.grade, element);
  gf.local.note = (_, element) => gf.note(element);
  gf.local.arm = function (e) {
    armed = armed === e.key ? 0 : e.key;
    bar();
  };

  // While a label is armed a tap gives it, and takes it away from a galaxy that has it. Heard before the tile's own click.
  window.addEventListener("click", function (event) {
    const tile = armed && event.target.closest("#gallery > .gf-tile");
    if (!tile || event.detail === 0) return; // Enter on a tile opens it
    event.stopPropagation();
    const given = gf.labels.mine(Number(tile.dataset.row));
    const label = gf.labels.classes().find((c) => c.key === armed);
    gf.label(given && label && given[0] === label.label ? 0 : armed, tile);
  }, true);

  gf.ask = function (title, text, beside, done) {
    const before = document.activeElement;
    const box = Object.assign(document.createElement("label"), { className: "gf-ask", textContent: title });
    const field = Object.assign(document.createElement("input"), { type: "text", maxLength: 500, value: text, className: "form-control form-control-sm" });
    const { left, bottom } = beside.getBoundingClientRect();
    let open = true;
    function close(keep) {
      if (!open) return;
      open = false;
      box.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      if (keep) done(field.value.trim());
    }
    field.addEventListener("keydown", function (event) {
      if (!["Enter", "Escape"].includes(event.key)) return;
      event.preventDefault(); // the same Enter would press what has the focus next
      close(event.key === "Enter");
    });
    field.addEventListener("blur", () => window.setTimeout(() => close(true))); // Escape leaves the field too
    box.append(field);
    document.body.append(box);
    box.style.left = Math.max(8, Math.min(left, window.innerWidth - box.offsetWidth - 8)) + "px";
    box.style.top = Math.max(8, Math.min(bottom + 4, window.innerHeight - box.offsetHeight - 8)) + "px";
    field.focus();
    field.select();
  };
})();
