// Events: what happens in the browser goes to the server in order, one message at a time.
// An element with data-event='{"is": …}' sends it when clicked; {"is": "local", "do": …} is acted on here.
(function () {
  "use strict";
  const gf = Object.assign(window.galaxyFinder, { state: {}, build: "", local: {}, ready: false });
  /** @type {PageEvent[]} */
  let waiting = [];
  /** @type {PageEvent[]} */
  let sending = [];
  let inFlight = 0;
  let sequence = 0;
  let said = ""; // a refusal that answers to what waited behind it must not close
  let alone = 0; // how many events next go out one by one
  /** @type {{ job: string, events: PageEvent[] } | null} */
  let waits = null; // events that a job must make something for first
  const MOST_EVENTS = 50;

  gf.send = function (event) {
    if (event.is !== "view") waits = null; // who goes on does not want to be taken back to it
    // A choice reaches this twice: by its menu and by Dash.
    const last = waiting[waiting.length - 1] || (inFlight ? sending[sending.length - 1] : null);
    if (["change", "against"].includes(event.is) && JSON.stringify(event) === JSON.stringify(last)) return;
    // Of several views of one plane only the last counts.
    if (event.is === "view") waiting = waiting.filter((e) => !(e.is === "view" && e.plane === event.plane));
    waiting.push(event);
    flush();
  };

  function flush() {
    if (inFlight || !waiting.length || !window.dash_clientside || !window.dash_clientside.set_props) return;
    inFlight = ++sequence;
    sending = waiting.splice(0, alone ? 1 : MOST_EVENTS);
    alone = Math.max(0, alone - 1);
    window.dash_clientside.set_props("event", { data: { seq: inFlight, build: gf.build, events: sending } });
  }

  gf.idle = () => !inFlight && !waiting.length;

  function release() {
    inFlight = 0;
    flush();
  }

  // Something was refused, or failed: it is said at once, the fields show again what is in force, and what came
  // meanwhile goes out. The sequence is 0 where a panel asked and no event; an empty text was said by the server.
  const tell = (id, props) => window.dash_clientside.set_props && window.dash_clientside.set_props(id, props);
  gf.refused = function (refused, text) {
    if (refused && refused === inFlight && sending.length > 1) {
      // Of several events one is at fault: the others are not to be lost with it.
      alone = sending.length;
      waiting = sending.concat(waiting);
      return release();
    }
    if (text) tell("toast", { children: text, is_open: true });
    if (!refused || refused !== inFlight) return;
    const axes = gf.get("axes");
    const inForce = { order: gf.get("order"), shown: String(gf.get("shown")), color: gf.get("color"), plane: axes ? axes.x + " " + axes.y : "map" };
    Object.entries(inForce).forEach(([id, value]) => tell(id, { value: value }));
    release();
    said = gf.idle() ? "" : text;
  };

  gf.jobEnded = function (id, phase) {
    if (!["done", "gone"].includes(phase)) return;
    if (document.querySelector(`#toast [data-job="${id}"]`)) tell("toast", { is_open: false });
    if (waits && waits.job === id) waits.events.forEach(gf.send);
  };

  // Elements that must be there, within another and around it.
  function there(found, selector) {
    if (!found) throw new Error("the page has no " + selector);
    return found;
  }
  gf.one = (selector, place = document) => there(place.querySelector(selector), selector);
  gf.around = (element, selector) => there(element.closest(selector), selector);

  function token() {
    return new URLSearchParams(window.location.search).get("s") || "";
  }

  function change(name) {
    return function (value) {
      if (value === undefined || value === null) return;
      const converted = name === "shown" ? Number(value) : value;
      // A choice is made: letters are keys again, not names of options.
      if (document.activeElement instanceof HTMLSelectElement) document.activeElement.blur();
      if (gf.ready && converted !== gf.get(name)) gf.send({ is: "change", [name]: converted });
    };
  }

  // What the state leaves out is at its default.
  /** @type {State} */
  const DEFAULTS = {
    order: "most", shown: 24, color: "density", light: false, sexagesimal: false, enlarged: "", drawer: "",
    listing: "gallery", focus: null, axes: null, map: null, sky: null, second_space: "", second: null, filters: [], expression: "",
    subsets: [], table: {}, shading: {}, look: {}, wanted: [], unwanted: [],
  };
  gf.get = (name) => ({ ...DEFAULTS, ...gf.state })[name];

  // The page of the method opens in the theme of this one.
  document.addEventListener("click", function (e) {
    const link = e.target instanceof Element && e.target.closest("a.gf-method-link");
    if (link) link.setAttribute("href", "/method" + (gf.get("light") ? "?light=1" : ""));
  }, true);

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    gf: {
      open: function (boot) {
        gf.build = boot.build;
        if (gf.labels) gf.labels.boot(boot.labels);
        if (gf.samp) gf.samp(boot.samp);
        if (gf.cutouts) gf.cutouts(boot.cutouts, boot.bare, boot.seen);
        gf.send({ is: "open", token: token() });
      },
      settle: function (ack, state) {
        if (!ack) return;
        const focusBefore = gf.state.focus ? gf.state.focus.id : "";
        gf.state = state ? JSON.parse(state) : {};
        if (ack.title) document.title = ack.title;
        // What was typed stays while it can still be mended, and goes when the page shows another galaxy.
        const focus = gf.state.focus ? gf.state.focus.id : "";
        if (focus !== focusBefore && document.activeElement !== document.getElementById("find")) window.dash_clientside.set_props("find", { value: "" });
        gf.build = ack.build;
        gf.ready = true;
        if (gf.labels) gf.labels.seen(ack.labels);
        document.documentElement.dataset.bsTheme = gf.get("light") ? "light" : "dark";
        if (gf.look) gf.look();
        if (ack.waits) waits = ack.waits;
        if (ack.seq !== inFlight) return;
        release();
        if (said) tell("toast", { children: said, is_open: true });
        if (gf.idle()) said = "";
      },
      push: function (url) {
        if (!url) return;
        const address = window.location.pathname + (url.token ? "?s=" + url.token : "");
        if (url.token === token()) return;
        window.history[url.push ? "pushState" : "replaceState"](null, "", address);
      },
      move: (moves) => moves && gf.move(moves),
      order: function (value) {
        // These two name the order that a table has already.
        if (value === "column" || value === "catalogue") return;
        const table = gf.get("table");
        const sorted = gf.get("listing") === "table" && table.sort;
        if (sorted && gf.ready && value && value === gf.get("order")) gf.send({ is: "change", order: value });
        if (sorted && value) gf.unsort();
        change("order")(value);
      },
      shown: change("shown"),
      color: change("color"),
      plane: function (value) {
        const axes = gf.get("axes");
        if (!gf.ready || value === undefined || value === null || value === (axes ? axes.x + " " + axes.y : "map")) return;
        const [x, y] = value === "map" ? [] : value.split(" ");
        if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
        gf.send({ is: "against", x: x || "", y: y || "" });
      },
      table: (part) => (JSON.parse(part).listing === "table" ? gf.script("dash_ag_grid/dash_ag_grid.min.js").then(() => part) : part),
      sorted: function (requests) {
        const request = requests.filter(Boolean).pop();
        if (!request) return;
        const [by] = request.sortModel || [];
        const [sort, descending] = by ? [by.colId, by.sort === "desc"] : ["", false];
        const table = gf.get("table");
        if (sort !== (table.sort || "") || descending !== Boolean(table.descending)) gf.send({ is: "tabulate", sort: sort, descending: descending });
      },
      picked: function (cells) {
        const cell = cells.filter(Boolean).pop();
        if (cell && /^[0-9]+$/.test(cell.rowId)) gf.send({ is: "pick", row: Number(cell.rowId), build: gf.build });
      },
    },
  });

  // Dash tells of a choice only once all that is under way has been drawn, which sets the menu back to what was: heard
  // here, none is lost.
  document.addEventListener("change", function (event) {
    if (["order", "shown", "color", "plane"].includes(event.target.id)) window.dash_clientside.gf[event.target.id](event.target.value);
  });

  // Scripts that few pages need are fetched by those that do, once.
  const scripts = {};
  gf.script = function (path) {
    scripts[path] = scripts[path] || new Promise(function (loaded, failed) {
      const element = document.createElement("script");
      element.src = "/_dash-component-suites/" + path;
      element.onload = loaded;
      element.onerror = failed;
      document.head.append(element);
    });
    return scripts[path];
  };

  window.addEventListener("popstate", () => gf.send({ is: "open", token: token() }));

  document.addEventListener("click", function (click) {
    const element = click.target.closest("[data-event]");
    if (!element || element.matches(":disabled")) return;
    const event = JSON.parse(element.dataset.event || "");
    if (event.is === "local") gf.local[event.do](event, element);
    else gf.send(event);
    if (element.closest(".gf-toast")) window.dash_clientside.set_props("toast", { is_open: false });
  });

  gf.local.theme = () => gf.send({ is: "change", light: !gf.get("light") });
  gf.local.units = () => gf.send({ is: "change", sexagesimal: !gf.get("sexagesimal") });
  gf.local.help = () => window.dash_clientside.set_props("help", { is_open: true });
  gf.local.enlarge = (e) => gf.send({ is: "change", enlarged: gf.get("enlarged") === e.name ? "" : e.name });
  gf.local.drawer = (e) => gf.send({ is: "change", drawer: gf.get("drawer") === e.name ? "" : e.name });
  gf.local.listing = () => gf.send({ is: "change", listing: gf.get("listing") === "table" ? "gallery" : "table" });
  gf.local.keep = function () {
    const field = document.querySelector("input#subset-name");
    const name = (field && field.value.trim()) || "subset " + (gf.get("subsets").length + 1);
    if (field) gf.typed(field);
    gf.send({ is: "keep", name: name.slice(0, 40) });
  };
  gf.local.download = function (e) {
    const link = document.createElement("a");
    link.href = gf.one("a#export").href.replace(".csv?", "." + e.format + "?what=" + e.what + "&");
    link.download = "";
    link.click();
  };
})();
