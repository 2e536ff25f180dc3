// Keys: one letter an action; none while one types.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const mode = (name) => () => gf.local.mode({ mode: name });
  const enlarge = (name) => () => gf.local.enlarge({ name: name });
  const drawer = (name) => () => gf.local.drawer({ name: name });
  const KEYS = {
    "/": () => gf.one("#find").focus(),
    r: () => gf.send({ is: "random" }),
    p: mode("pan"),
    l: mode("lasso"),
    b: mode("select"),
    m: enlarge("map"),
    s: enlarge("sky"),
    g: enlarge("gallery"),
    v: () => gf.local.listing(),
    x: function () {
      const select = gf.one("select#plane");
      const pair = Array.from(select.options).map((o) => o.value).find((v) => v.includes(" "));
      const [x, y] = gf.get("axes") || !pair ? ["", ""] : pair.split(" ");
      gf.send({ is: "against", x: x, y: y });
    },
    f: drawer("filters"),
    u: drawer("subsets"),
    c: drawer("clusters"),
    a: drawer("anomalies"),
    n: drawer("labels"),
    w: drawer("why"),
    e: drawer("scores"),
    q: drawer("compare"),
    i: drawer("about"),
    z: () => gf.unlabel(),
    d: () => gf.grade(),
    o: () => gf.note(),
    j: () => gf.ahead(false),
    k: () => gf.ahead(true),
    "+": () => gf.mark(1),
    "-": () => gf.mark(-1),
    t: () => gf.local.theme(),
    h: function () {
      gf.send({ is: "view", plane: "map" });
      gf.send({ is: "view", plane: gf.get("second_space") ? "second" : "sky" });
    },
    "?": () => gf.local.help(),
    escape: escape,
  };
  for (let key = 0; key <= 9; key++) KEYS[key] = () => gf.label(key);

  // Esc closes the topmost thing; with nothing open it clears the selection.
  function escape() {
    if (gf.get("drawer")) gf.send({ is: "change", drawer: "" });
    else if (gf.get("enlarged")) gf.send({ is: "change", enlarged: "" });
    else gf.send({ is: "clear" });
  }

  // Caught on the way down: plotly keeps Escape to itself after a lasso.
  window.addEventListener("keydown", function (event) {
    // Help is open: its own keys count, and none of the page behind it.
    if (document.querySelector(".modal.show")) return;
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (typing) {
      if (event.key === "Escape") typing.blur();
      if (event.key === "Enter" && typing.id === "subset-name") gf.local.keep();
      if (event.key === "Enter" && typing.id === "find") {
        gf.send({ is: "find", text: gf.one("input#find").value.slice(0, 200) });
        typing.blur();
      }
      return;
    }
    // Whoever draws a lasso finishes it first.
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || gf.drawing()) return;
    const action = KEYS[event.key.toLowerCase()];
    if (action) {
      event.preventDefault();
      action();
    }
  }, true);
})();
