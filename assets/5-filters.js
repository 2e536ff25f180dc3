// Filters: histograms with a brush, bounds and names that are typed, and the condition with its completions.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const { inward, outward, scale, tidy, numeral, inOrder } = gf.pure;
  const HEIGHT = 52;
  /** @type {{canvas: HTMLCanvasElement | null, from: number, to: number}} */
  const brush = { canvas: null, from: 0, to: 0 };

  /** @type {(canvas: HTMLCanvasElement) => Histogram} */
  const read = (canvas) => JSON.parse(canvas.dataset.hist || "");
  const columnOf = (element) => gf.around(element, ".gf-filter").dataset.column || "";
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function draw(canvas) {
    const h = read(canvas);
    const ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth || 220;
    canvas.width = width * ratio;
    canvas.height = HEIGHT * ratio;
    const ink = canvas.getContext("2d");
    ink.scale(ratio, ratio);
    const most = Math.max(1, ...h.total);
    const top = Math.max(1, ...h.now);
    const [from, to] = range(canvas, h);
    const step = width / h.total.length;
    h.total.forEach(function (count, i) {
      const bar = (value, of) => (value > 0 ? Math.max(1, (HEIGHT - 2) * Math.sqrt(value / of)) : 0);
      const inside = (i + 0.5) / h.total.length >= from && (i + 0.5) / h.total.length <= to;
      ink.fillStyle = color("--gf-line");
      ink.fillRect(i * step, HEIGHT - bar(count, most), step - 1, bar(count, most));
      ink.fillStyle = inside ? color("--gf-bar") : color("--gf-bar-off");
      ink.fillRect(i * step, HEIGHT - bar(h.now[i], top), step - 1, bar(h.now[i], top));
    });
    if (from > 0 || to < 1) {
      ink.fillStyle = color("--gf-accent");
      [from, to].forEach((share) => ink.fillRect(Math.min(Math.max(share, 0), 1) * width - 1, 0, 2, HEIGHT));
    }
  }

  // The brush under the hand, or the filter that the state holds.
  function range(canvas, h) {
    if (brush.canvas === canvas) return [Math.min(brush.from, brush.to), Math.max(brush.from, brush.to)];
    const to = scale(h).share;
    return [h.low === null ? 0 : to(inward(h, h.low)), h.high === null ? 1 : to(inward(h, h.high))];
  }

  const share = (canvas, event) => Math.min(1, Math.max(0, (event.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth));

  // A range of a column, or of the similarity to the examples.
  function set(element, low, high) {
    if (element.closest(".gf-alike")) gf.send({ is: "alike", low: low, high: high });
    else gf.send({ is: "filter", column: columnOf(element), low: low, high: high });
  }

  document.addEventListener("pointerdown", function (event) {
    const canvas = event.target.closest && event.target.closest("canvas.gf-hist");
    if (!canvas || event.button) return;
    const h = read(canvas);
    const [from, to] = range(canvas, h);
    const at = share(canvas, event);
    const grip = 6 / canvas.clientWidth;
    // Near an edge of the brush the hand takes that edge; elsewhere it begins anew.
    brush.from = Math.abs(at - from) < grip && h.low !== null ? to : Math.abs(at - to) < grip && h.high !== null ? from : at;
    brush.to = at;
    brush.canvas = canvas;
    canvas.setPointerCapture(event.pointerId);
  });
  document.addEventListener("pointermove", function (event) {
    if (!brush.canvas) return;
    brush.to = share(brush.canvas, event);
    draw(brush.canvas);
  });
  document.addEventListener("pointerup", function () {
    const canvas = brush.canvas;
    if (!canvas) return;
    const [from, to] = range(canvas, read(canvas));
    brush.canvas = null;
    if (to - from < 0.01) return draw(canvas);
    const h = read(canvas);
    const value = scale(h).value;
    const pixel = 1 / canvas.clientWidth;
    const bound = (at) => outward(h, tidy(value(at), Math.abs(value(at + pixel) - value(at))));
    // The edge that was not taken stays as it is, with all its digits.
    const kept = (at, old) => (old !== null && Math.abs(scale(h).share(inward(h, old)) - at) < 1e-9 ? old : bound(at));
    set(canvas, from <= 0 ? null : kept(from, h.low), to >= 1 ? null : kept(to, h.high));
  });
  document.addEventListener("dblclick", function (event) {
    const canvas = event.target.closest && event.target.closest("canvas.gf-hist");
    if (canvas) set(canvas, null, null);
  });

  // Bounds, names and choices that are typed.
  document.addEventListener("change", function (event) {
    const field = event.target;
    if (field.closest(".gf-bound")) {
      const section = gf.around(field, ".gf-filter");
      const [low, high] = ["low", "high"].map((side) => numeral(gf.one(`[data-side="${side}"] input`, section).value));
      // Sent as typed: the server reads whole numbers of 64 bits, which are rounded here.
      const wrong = !inOrder(low, high, true);
      field.setCustomValidity(wrong ? "a number, and the lower bound below the upper one" : "");
      if (wrong) field.reportValidity();
      else set(section, low, high);
    } else if (field.closest(".gf-subset-name") || field.classList.contains("gf-subset-name")) {
      gf.send({ is: "withsubset", at: Number(gf.around(field, ".gf-subset").dataset.at), do: "rename", name: field.value.slice(0, 40) });
    } else if (field.id === "brush" && field.value) {
      gf.send({ is: "brush", column: field.value });
    } else if (field.id === "axis-x" || field.id === "axis-y") {
      const axes = Object.assign({}, gf.get("axes"), { [field.id === "axis-x" ? "x" : "y"]: field.value });
      gf.send({ is: "against", x: axes.x, y: axes.y });
      field.blur();
    }
  });

  // The condition: what is wrong is said where it is wrong, and names complete themselves.
  let asked = 0;
  /** @type {{words: string[], start: number, end: number} | null} */
  let offered = null;
  let marked = 0;

  function check(field, then) {
    const mine = ++asked;
    const query = new URLSearchParams({ text: field.value, cursor: field.selectionStart || 0 });
    fetch("/expression/" + gf.build + ".json?" + query)
      .then((r) => (r.ok ? r.json() : null), () => null)
      .then(function (told) {
        if (mine === asked) then(told || { error: null, words: [] });
      });
  }

  const part = (text, tag) => Object.assign(document.createElement(tag), { textContent: text });
  const unsent = (field) => field.value.trim() !== gf.get("expression");

  function say(field, error) {
    const place = gf.one("#expression-says");
    field.setAttribute("aria-invalid", error ? "true" : "false");
    if (!error) return place.replaceChildren();
    const [before, wrong, after] = [field.value.slice(0, error.start), field.value.slice(error.start, error.end) || " ", field.value.slice(error.end)];
    const line = document.createElement("code");
    line.append(part(before, "span"), part(wrong, "mark"), part(after, "span"));
    place.replaceChildren(line, part(error.message, "p"));
    remind(field);
  }

  // What is typed and what holds are not the same: both are said, with the way back.
  function remind(field) {
    const place = gf.one("#expression-says");
    place.querySelectorAll(".gf-in-force").forEach((line) => line.remove());
    if (!unsent(field)) return;
    const old = gf.get("expression");
    const back = Object.assign(part(old ? "back to it" : "leave it", "button"), { type: "button", className: "gf-button link" });
    // Before the field loses the focus, which would remind anew.
    back.addEventListener("mousedown", (event) => event.preventDefault());
    back.addEventListener("click", function () {
      gf.write(field, old);
      say(field, null);
      field.focus();
    });
    const line = part(old ? "Not in force; still: " : "Not in force: no condition is. ", "div");
    line.className = "gf-in-force";
    if (old) line.append(part(old, "code"), " ");
    line.append(back, field.getAttribute("aria-invalid") === "true" ? "" : " Enter puts it in force.");
    place.append(line);
  }

  function offer(told) {
    const place = document.getElementById("expression-words");
    if (!place) return;
    offered = told && told.words.length ? told : null;
    marked = 0;
    place.replaceChildren(...(offered ? offered.words : []).map(function (word, i) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: word });
      button.addEventListener("mousedown", (e) => (e.preventDefault(), take(word)));
      button.classList.toggle("on", i === marked);
      return button;
    }));
  }

  function take(word) {
    if (!offered) return;
    const field = gf.one("input#expression");
    const at = offered.start + word.length;
    const text = field.value.slice(0, offered.start) + word + field.value.slice(offered.end);
    gf.write(field, text);
    field.setSelectionRange(at, at);
    offer(null);
  }

  document.addEventListener("input", function (event) {
    if (event.target.id === "expression") check(event.target, (told) => {
      offer(event.target === document.activeElement ? told : null);
      if (!told.error) say(event.target, null);
    });
  });
  document.addEventListener("focusout", function (event) {
    if (event.target.id !== "expression") return;
    offer(null);
    remind(event.target);
  });
  window.addEventListener("keydown", function (event) {
    const field = event.target;
    if (field.id !== "expression") return;
    const steps = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (offered && steps) {
      const buttons = document.querySelectorAll("#expression-words button");
      marked = (marked + steps + buttons.length) % buttons.length;
      buttons.forEach((b, i) => b.classList.toggle("on", i === marked));
    } else if (offered && event.key === "Tab") take(offered.words[marked]);
    else if (event.key === "Enter") {
      check(field, function (told) {
        say(field, told.error);
        offer(null);
        if (told.error) return;
        gf.typed(field);
        gf.send({ is: "express", text: field.value });
      });
    } else return;
    event.preventDefault();
  }, true);

  function watch(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (node.matches("canvas.gf-hist")) draw(node);
    node.querySelectorAll("canvas.gf-hist").forEach(draw);
  }
  new MutationObserver(function (changes) {
    // The theme is an attribute of the root: a canvas has the colours that it was drawn in.
    const field = document.getElementById("expression");
    if (field && field !== document.activeElement && !unsent(field) && document.querySelector(".gf-in-force")) say(field, null);
    // Drawn anew while it holds what is not in force, which is said anew.
    if (field && field !== document.activeElement && unsent(field) && !document.querySelector(".gf-in-force")) remind(field);
    changes.forEach((change) => (change.type === "attributes" ? watch(change.target) : change.addedNodes.forEach(watch)));
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-hist", "data-bs-theme"] });

  // A cell of the table that shows a galaxy.
  window.dashAgGridComponentFunctions = Object.assign(window.dashAgGridComponentFunctions || {}, {
    GalaxyImage: (props) => (props.value ? window.React.createElement("img", { src: props.value, alt: "", className: "gf-cell-image" }) : null),
  });
})();
