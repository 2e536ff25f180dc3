// The graphs: viewports, lassos, clicks and the hover card. Points stay here; polygons and rows go to the server.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const { rounder, thin, alike, carried, middlemost, beside } = gf.pure;
  /** @type {Plane[]} */
  const PLANES = ["map", "sky", "second"];
  const VIEW_DELAY_MS = 100;
  const MOST_VERTICES = 400;
  /** @type {(plane: string) => Graph | null} */
  const graph = (plane) => document.querySelector(`#${plane} .js-plotly-plot`);
  const moving = { map: 0, sky: 0, second: 0 };
  const drawing = { map: false, sky: false, second: false };
  const timers = {};
  // Of each graph: the view under the hand, the view last told to the server, and the projection that is drawn.
  const current = {};
  const sent = {};
  const planes = {};
  const reach = {}; // what the server's points cover
  const held = {}; // middle, scale and size of what was in view, which a change of size must keep
  const homes = {}; // what the opening view shows, and the box that it has to hold, before plotly widens it
  /** @type {{plane: string, points: Pair[], slip: boolean}} */
  const trail = { plane: "", points: [], slip: false }; // of the hand that draws a lasso
  const joins = { map: "new", sky: "new", second: "new" }; // what the keys under the other hand said when a lasso began
  const hand = { x: 0, y: 0 };
  document.addEventListener("pointermove", (e) => Object.assign(hand, { x: e.clientX, y: e.clientY }), true);

  // Magnitudes run backwards on their axes; a box never does.
  function box(gd) {
    const ends = (axis) => axis.range.map(rounder(axis.range)).sort((a, b) => a - b);
    const [[x0, x1], [y0, y1]] = [ends(gd._fullLayout.xaxis), ends(gd._fullLayout.yaxis)];
    return { x0: x0, x1: x1, y0: y0, y1: y1 };
  }

  function ranges(gd, x, y) {
    const flip = (gd.layout.meta && gd.layout.meta.flip) || [false, false];
    return { "xaxis.range": flip[0] ? [x[1], x[0]] : x, "yaxis.range": flip[1] ? [y[1], y[0]] : y };
  }

  function projection(gd) {
    return (gd.layout.meta && gd.layout.meta.projection) || null;
  }

  function about(plane, gd, event) {
    return plane === "sky" ? Object.assign(event, { projection: projection(gd) }) : event;
  }

  // Onto another projection the server sends a new range, made for the view that was told to it. If the hand has moved
  // on since, the new range is carried along by as much, so that no turn of the wheel is lost.
  function onAfterPlot(plane, gd) {
    const key = (gd.layout.meta && gd.layout.meta.key) || "";
    if (key === planes[plane]) return onSize(plane, gd);
    const [told, now, fresh] = [sent[plane], current[plane], box(gd)];
    const carry = told && now && told.key === planes[plane] && JSON.stringify(told.box) !== JSON.stringify(now);
    planes[plane] = key;
    current[plane] = null;
    reach[plane] = fresh;
    hold(plane, gd);
    if (!gf.get(plane)) homes[plane] = { key: key, box: fresh, holds: (gd.layout.meta && gd.layout.meta.holds) || null };
    if (!carry) return;
    const { x0, x1, y0, y1 } = carried(told.box, now, fresh);
    window.Plotly.relayout(gd, ranges(gd, [x0, x1], [y0, y1]));
  }

  function onRelayout(plane, gd, changes) {
    if (moving[plane] || !Object.keys(changes).some((key) => key.startsWith("xaxis.range") || key.startsWith("yaxis.range"))) return;
    current[plane] = box(gd);
    window.clearTimeout(timers[plane]);
    timers[plane] = window.setTimeout(() => tell(plane, gd), VIEW_DELAY_MS);
  }

  function onSelected(plane, gd, selected) {
    // plotly tells of an old lasso again whenever it draws: only one that a hand has just drawn counts.
    if (!selected || !drawing[plane]) return;
    drawing[plane] = false;
    const [across, up] = [rounder(gd._fullLayout.xaxis.range), rounder(gd._fullLayout.yaxis.range)];
    let vertices;
    if (selected.lassoPoints) {
      const xs = selected.lassoPoints.x;
      const ys = selected.lassoPoints.y;
      const step = Math.max(1, Math.ceil(xs.length / MOST_VERTICES));
      vertices = xs.map((x, i) => [across(x), up(ys[i])]).filter((_, i) => i % step === 0);
    } else if (selected.range) {
      const [x0, x1] = selected.range.x.map(across);
      const [y0, y1] = selected.range.y.map(up);
      vertices = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
    }
    const slip = trail.slip;
    window.setTimeout(function () {
      tidy(gd);
      if (!slip && vertices && vertices.length >= 3) gf.send(about(plane, gd, { is: "lasso", plane: plane, vertices: vertices, join: joins[plane] }));
    }, 0);
  }

  // The outline on the page is the state's; plotly's own and its dimming go.
  function tidy(gd) {
    gd.layout.selections = [];
    window.Plotly.update(gd, { selectedpoints: [null] }, { selections: [] });
  }

  gf.drawing = () => Boolean(trail.plane);

  document.addEventListener("mousedown", function (event) {
    const plane = PLANES.find((name) => event.target.closest && event.target.closest("#" + name + " .nsewdrag"));
    const gd = plane && graph(plane);
    if (!event.isTrusted || !gd || !gd._fullLayout || !["lasso", "select"].includes(gd._fullLayout.dragmode)) return;
    Object.assign(trail, { plane: plane, points: [[event.clientX, event.clientY]], slip: false });
  }, true);
  window.addEventListener("mousemove", function (event) {
    if (!event.isTrusted || !trail.plane) return;
    // Let go where no page hears of it: what follows is no longer the lasso.
    if (!event.buttons) trail.plane = "";
    else trail.points.push([event.clientX, event.clientY]);
  }, true);
  // plotly cannot draw anything any more once it has kept a lasso without area: the slip gets some, and is forgotten.
  window.addEventListener("mouseup", function (event) {
    if (!event.isTrusted || !trail.plane) return;
    const gd = graph(trail.plane);
    trail.plane = "";
    if (!gd) return;
    trail.slip = gd._fullLayout.dragmode === "lasso" && thin(trail.points);
    if (trail.slip && trail.points.length > 1) {
      for (const [dx, dy] of [[30, 0], [0, 30]]) {
        const at = { bubbles: true, view: window, clientX: event.clientX + dx, clientY: event.clientY + dy, buttons: 1 };
        event.target.dispatchEvent(new MouseEvent("mousemove", at));
      }
    }
    window.setTimeout(() => gd.layout.selections && gd.layout.selections.length && tidy(gd), 0);
  }, true);

  // The galaxy under the mouse: that of an image, or the nearest point's.
  function rowOf(gd, event) {
    const image = gf.above.imageAt(gd, event.event.clientX, event.event.clientY);
    const point = event.points && event.points[0];
    return image !== null ? image : point && Number.isInteger(point.customdata) ? point.customdata : null;
  }

  // A panel that changes its size keeps the middle and the scale of what a hand has put in view, and the whole of what is
  // in view at first. plotly would widen the ranges each time, and the map would shrink with every drawer for good. Axes
  // without a common scale keep their ranges by themselves.
  function hold(plane, gd) {
    const { xaxis, yaxis } = gd._fullLayout;
    const now = box(gd);
    const size = [xaxis._length, yaxis._length];
    held[plane] = { x: (now.x0 + now.x1) / 2, y: (now.y0 + now.y1) / 2, scale: (now.x1 - now.x0) / size[0], size: size };
  }

  function onSize(plane, gd) {
    const { xaxis, yaxis } = gd._fullLayout;
    const [was, width, height] = [held[plane], xaxis._length, yaxis._length];
    if (!was || width < 40 || height < 40) return; // another panel fills the page
    const same = Math.abs(width - was.size[0]) < 1 && Math.abs(height - was.size[1]) < 1;
    if (same || !yaxis.scaleanchor) return hold(plane, gd);
    const home = homes[plane];
    const shown = { x0: was.x - (was.scale * was.size[0]) / 2, x1: was.x + (was.scale * was.size[0]) / 2, y0: was.y - (was.scale * was.size[1]) / 2, y1: was.y + (was.scale * was.size[1]) / 2 };
    if (home && home.holds && home.key === planes[plane] && alike(shown, home.box)) return go(plane, gd, home.holds, () => open(plane, gd, home.holds));
    was.size = [width, height];
    const [x, y] = [(was.scale * width) / 2, (was.scale * height) / 2];
    go(plane, gd, [was.x - x, was.x + x, was.y - y, was.y + y], () => ask(plane, gd));
  }

  // What is in view is the opening view; the server's points cover what it holds.
  function open(plane, gd, holds) {
    reach[plane] = box(gd);
    current[plane] = null;
    homes[plane] = { key: planes[plane], box: reach[plane], holds: holds };
    hold(plane, gd);
  }

  // Points, counts and density for what is in view now; where that is the opening view again, the page opens anew.
  function ask(plane, gd) {
    window.clearTimeout(timers[plane]);
    timers[plane] = window.setTimeout(function () {
      const [now, home] = [box(gd), homes[plane]];
      current[plane] = now;
      if (reach[plane] && alike(now, reach[plane])) return;
      if (!home || home.key !== planes[plane] || !alike(now, home.box)) return tell(plane, gd);
      reach[plane] = now;
      gf.send({ is: "view", plane: plane });
    }, 3 * VIEW_DELAY_MS);
  }

  function tell(plane, gd) {
    sent[plane] = { box: box(gd), key: planes[plane] };
    reach[plane] = sent[plane].box;
    gf.send(about(plane, gd, { is: "view", plane: plane, box: sent[plane].box }));
  }

  function attach(plane) {
    const gd = graph(plane);
    if (!gd || !gd.on || gd.dataset.attached) return Boolean(gd && gd.dataset.attached);
    gd.dataset.attached = "yes";
    gd.on("plotly_relayout", (changes) => onRelayout(plane, gd, changes));
    new ResizeObserver(() => window.setTimeout(() => onSize(plane, gd), VIEW_DELAY_MS)).observe(gd);
    gd.on("plotly_afterplot", () => onAfterPlot(plane, gd));
    gd.on("plotly_selecting", () => (drawing[plane] = true));
    // Told here and kept from plotly, which would join the lasso with outlines of its own.
    gd.addEventListener("mousedown", function (event) {
      joins[plane] = event.altKey ? "subtract" : event.shiftKey ? "add" : "new";
      if (!event.isTrusted || joins[plane] === "new" || !["lasso", "select"].includes(gd._fullLayout.dragmode)) return;
      event.stopImmediatePropagation();
      event.preventDefault();
      const plain = { bubbles: true, cancelable: true, view: window, button: event.button, buttons: event.buttons, clientX: event.clientX, clientY: event.clientY };
      const join = joins[plane];
      event.target?.dispatchEvent(new MouseEvent("mousedown", plain));
      joins[plane] = join;
    }, true);
    gd.on("plotly_selected", (selected) => onSelected(plane, gd, selected));
    if (plane === "sky") gd.on("plotly_afterplot", () => gf.behind(gd));
    gf.above.attach(gd);
    gf.signs.attach(gd);
    gd.on("plotly_click", function (event) {
      const row = rowOf(gd, event);
      if (row !== null) gf.send({ is: "pick", row: row, build: gf.build });
    });
    gd.on("plotly_hover", function (event) {
      const row = rowOf(gd, event);
      // plotly tells of an old hover again when it draws: only one under the hand counts.
      const near = Math.hypot(event.event.clientX - hand.x, event.event.clientY - hand.y) < 4;
      if (row !== null && near) showCard(row, event.event.clientX, event.event.clientY, true);
    });
    // An image is wider than the point that it stands for.
    const onImage = () => gf.above.imageAt(gd, hand.x, hand.y);
    /** @type {number | null} */
    let shown = null;
    gd.on("plotly_unhover", () => onImage() === null && hideCard());
    gd.addEventListener("mousemove", function (event) {
      const row = event.buttons ? null : onImage();
      if (row !== null) showCard(row, hand.x, hand.y, true);
      else if (shown !== null && !gd._hoverdata) hideCard();
      shown = row;
    });
    return true;
  }

  (function wait() {
    if (!PLANES.map(attach).every(Boolean)) window.setTimeout(wait, 60);
  })();

  // A move that is nobody's hand.
  function go(plane, gd, [x0, x1, y0, y1], then) {
    moving[plane] += 1;
    const done = function () {
      then();
      window.setTimeout(() => (moving[plane] -= 1), VIEW_DELAY_MS);
    };
    window.Plotly.relayout(gd, ranges(gd, [x0, x1], [y0, y1])).then(done, done);
  }

  // Moves that do not come from the hand on the graph.
  gf.move = function (moves) {
    PLANES.forEach(function follow(plane) {
      const to = moves[plane];
      if (!to) return;
      const gd = graph(plane);
      if (!gd || !gd._fullLayout || !window.Plotly) return window.setTimeout(() => follow(plane), 60);
      go(plane, gd, to, function () {
        if (!gf.get(plane)) return open(plane, gd, to);
        reach[plane] = box(gd);
        current[plane] = null;
      });
    });
  };

  gf.local.mode = function (event) {
    document.querySelectorAll(".gf-graph-tools .mode").forEach((b) => b.classList.toggle("on", b.classList.contains("mode-" + event.mode)));
    PLANES.map(graph).forEach((gd) => gd && window.Plotly.relayout(gd, { dragmode: event.mode }));
  };

  // By keyboard: the plane that has the focus is panned and zoomed, and the galaxy at its middle chosen.
  const PAN = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  document.addEventListener("keydown", function (event) {
    const plane = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.plane : null;
    const gd = plane && graph(plane);
    if (!gd || !gd._fullLayout || event.ctrlKey || event.metaKey || event.altKey) return;
    const [x, y] = [gd._fullLayout.xaxis.range, gd._fullLayout.yaxis.range];
    const turn = PAN[event.key];
    const zoom = { ",": 1.25, ".": 0.8 }[event.key];
    if (turn) {
      const shift = (range, by) => range.map((v) => v + by * 0.15 * (range[1] - range[0]));
      window.Plotly.relayout(gd, { "xaxis.range": shift(x, turn[0]), "yaxis.range": shift(y, turn[1]) });
    } else if (zoom) {
      const scale = ([a, b]) => [(a + b) / 2 - (zoom * (b - a)) / 2, (a + b) / 2 + (zoom * (b - a)) / 2];
      window.Plotly.relayout(gd, { "xaxis.range": scale(x), "yaxis.range": scale(y) });
    } else if (event.key === "Enter") {
      const row = middle(gd, x, y);
      if (row !== null) gf.send({ is: "pick", row: row, build: gf.build });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  function middle(gd, x, y) {
    const points = gd._fullData[0];
    const at = middlemost(points.x || [], points.y, x, y);
    return at < 0 ? null : points.customdata[at];
  }

  // Words and their colours as they stand above the panel, as traces without points: plotly makes a legend of these.
  const LEGEND_PX = 150;
  function legend() {
    /** @returns {any} */
    const entry = (name, color) => ({ type: "scatter", mode: "markers", x: [null], y: [null], name: name, showlegend: true, marker: { size: 9, color: color } });
    const words = Array.from(document.querySelectorAll("#legend > span, #legend .gf-legend-row > .gf-word"))
      .filter((word) => word.querySelector(":scope > i[style]"))
      .map((word) => entry(word.textContent, gf.one("i", word).style.background));
    const all = document.querySelectorAll("#legend .gf-legend-menu .gf-word").length;
    if (words.length && all > words.length) words.push(entry(`and ${all - words.length} more`, "rgba(0,0,0,0)"));
    return words;
  }

  // A figure to take along: as it is seen, with axes around it and a word on what it is.
  gf.local.figure = function (event) {
    const gd = graph(event.plane);
    if (!gd) return null;
    const name = event.plane === "sky" ? ["Right ascension", "Declination"] : ["UMAP 1", "UMAP 2"];
    const layout = structuredClone(gd.layout);
    layout.shapes = [...(layout.shapes || []), ...gf.above.shapes(gd)];
    const bare = event.plane === "sky" || !gd._fullLayout.xaxis.visible;
    const dark = event.plane === "sky" || !gf.get("light");
    const ink = dark ? "#dbe2ea" : "#1b2430";
    ["xaxis", "yaxis"].forEach(function (axis, i) {
      const shown = { visible: true, showline: true, mirror: true, linecolor: ink, color: ink, zeroline: false, showgrid: false };
      if (bare) Object.assign(shown, { title: { text: name[i], font: { size: 13, color: ink } }, ticks: event.plane === "sky" ? "" : "outside", showticklabels: event.plane !== "sky" });
      layout[axis] = Object.assign({}, layout[axis], shown, { range: gd._fullLayout[axis].range.slice() });
    });
    const credit = event.plane === "sky" ? gf.one("#sky-credit").textContent : "";
    const words = [gf.one(".gf-title").textContent, gf.one("#status-selected").textContent, credit].filter(Boolean);
    Object.assign(layout, {
      paper_bgcolor: dark ? "#080b11" : "#ffffff", plot_bgcolor: dark ? "#080b11" : "#ffffff", font: { color: ink },
      margin: { l: 64, r: 24, t: 48, b: 56 }, title: { text: words.join(" · "), font: { size: 13, color: ink } },
    });
    // A colour scale that stands above the panel goes into the figure.
    const data = gd.data.slice();
    const ends = document.querySelectorAll("#legend .gf-ramp").length ? document.querySelectorAll("#legend > span") : [];
    if (ends.length >= 2 && data[0].marker.colorscale) {
      const bar = { tickvals: [0, 1], ticktext: [ends[0].textContent, ends[1].textContent], thickness: 12, outlinewidth: 0, title: { text: gf.get("color").replace(/^column:/, "") } };
      data[0] = Object.assign({}, data[0], { marker: Object.assign({}, data[0].marker, { showscale: true, colorbar: bar }) });
    }
    const swatches = legend();
    if (swatches.length) {
      data.forEach((trace, i) => (data[i] = Object.assign({}, trace, { showlegend: false })));
      data.push(...swatches);
      Object.assign(layout, { showlegend: true, legend: { font: { size: 12, color: ink }, itemsizing: "constant", x: 1.01, y: 1 } });
      layout.margin.r += LEGEND_PX;
    }
    const scale = event.format === "png" ? 2 : 1;
    const size = { format: event.format, width: gd.clientWidth + 88 + (swatches.length ? LEGEND_PX : 0), height: gd.clientHeight + 104, scale: scale };
    return window.Plotly.toImage({ data: data, layout: layout }, size).then(function (address) {
      const link = document.createElement("a");
      link.href = address;
      link.download = "galaxy-finder-" + event.plane + "." + event.format;
      link.click();
    });
  };

  gf.local.outliers = function (_, element) {
    const gd = graph("map");
    const shown = !element.classList.contains("on");
    element.classList.toggle("on", shown);
    if (gd) window.Plotly.restyle(gd, { visible: shown }, [1]);
  };

  // The hover card: facts are fetched once a galaxy, and kept by the browser.
  const facts = new Map();
  let wanted = "";

  function showCard(row, x, y, withImage) {
    const key = gf.build + "/" + row;
    // What the page is coloured by is among them, and the name that its cluster has by now.
    const address = `/galaxy/${key}.json?color=${encodeURIComponent(gf.get("color"))}&labels=${gf.labels.revision()}`;
    wanted = address;
    if (!facts.has(address)) {
      facts.set(address, fetch(address).then((r) => (r.ok ? r.json() : null)).catch(() => null));
      if (facts.size > 2000) facts.delete(facts.keys().next().value);
    }
    facts.get(address).then(function (galaxy) {
      if (!galaxy) facts.delete(address);
      if (galaxy && wanted === address) fill(key, galaxy, x, y, withImage);
    });
  }

  function fill(key, galaxy, x, y, withImage) {
    const card = gf.one("#card");
    const parts = [];
    if (withImage) {
      const image = document.createElement("img");
      image.src = "/cutout/" + key + ".webp";
      image.alt = "";
      parts.push(image);
    }
    const list = document.createElement("dl");
    [["id", galaxy.id], ["RA, Dec", galaxy.position]].concat(galaxy.facts).forEach(function ([name, value]) {
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.append(...name.split(/(?<=_)/).flatMap((word, at) => (at ? [document.createElement("wbr"), word] : [word])));
      text.textContent = value;
      list.append(term, text);
    });
    card.replaceChildren(...parts, list);
    card.hidden = false;
    const size = card.getBoundingClientRect();
    card.style.left = beside(x, size.width, window.innerWidth) + "px";
    card.style.top = beside(y, size.height, window.innerHeight) + "px";
  }

  function hideCard() {
    wanted = "";
    gf.one("#card").hidden = true;
  }

  // Images anywhere on the page tell the same facts after a moment.
  let resting = 0;
  document.addEventListener("mouseover", function (event) {
    // What explains itself (7-explain.js) needs no card over it.
    const explained = event.target.closest && event.target.closest(".gf-score, .gf-row [data-why]");
    const element = !explained && event.target.closest && event.target.closest(".gf-tile[data-row], .gf-row[data-row]");
    window.clearTimeout(resting);
    if (!element) {
      if (!event.target.closest || !event.target.closest(".gf-graph")) hideCard();
      return;
    }
    resting = window.setTimeout(function () {
      if (element.isConnected && element.matches(":hover")) showCard(Number(element.dataset.row), hand.x, hand.y, false);
    }, 500);
  });
  ["scroll", "pointerdown", "wheel"].forEach((name) => document.addEventListener(name, hideCard, { capture: true, passive: true }));
})();
