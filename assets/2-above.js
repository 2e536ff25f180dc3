// What stands above the points of both graphs: images, which are plotly's, and rings, which are drawn here. Points are
// on canvases that lie over everything plotly draws as a trace; only the layer of shapes and words is over those.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const SVG = "http://www.w3.org/2000/svg";
  const OUTLIERS = 1; // traces of the skeleton: outliers, a hundred at most, are dots
  const RINGED = [2, 3]; // neighbours, then the focus over them
  const CUTOUT = /\/cutout\/[0-9a-f]+(?:\.\w+)?\/(\d+)\.webp/;
  const DRAWN = ["plotly_afterplot", "plotly_react", "plotly_restyle", "plotly_relayout", "plotly_relayouting", "plotly_update"];

  // Traces that are felt under the mouse as points, and seen as rings: position in the plane's own units, size in pixels.
  function rings(gd) {
    return RINGED.map((i) => gd._fullData[i]).filter((trace) => trace && trace.visible && trace.marker).flatMap(function (trace) {
      const { color, size, line } = trace.marker;
      return Array.from(trace.x, (x, i) => ({ x: x, y: trace.y[i], radius: size / 2, color: color, width: line.width, of: trace.name, fill: "none" }))
        .filter((ring) => Number.isFinite(ring.x) && Number.isFinite(ring.y));
    });
  }

  function dots(gd) {
    const trace = gd._fullData[OUTLIERS];
    if (!trace || !trace.visible || trace.name !== "outliers") return [];
    const { color, size, line } = trace.marker;
    return Array.from(trace.x, (x, i) => ({ x: x, y: trace.y[i], radius: size / 2, fill: color, color: line.color, width: line.width, of: trace.name, row: trace.customdata[i] }))
      .filter((dot) => Number.isFinite(dot.x) && Number.isFinite(dot.y));
  }

  // Dots lie under the words, rings over them.
  function layers(gd) {
    const { _infolayer, _plots } = gd._fullLayout;
    const words = _infolayer && _infolayer.node();
    if (!words || !_plots.xy) return null;
    return ["gf-dots", "gf-rings"].map(function (name) {
      const found = words.parentNode.querySelector("." + name);
      if (found) return found;
      const group = document.createElementNS(SVG, "g");
      group.setAttribute("class", name);
      words[name === "gf-dots" ? "before" : "after"](group);
      return group;
    });
  }

  // Galaxies whose images the graph shows: the row of each, and where its upper left corner is drawn.
  function pictured(gd) {
    const { xaxis, yaxis } = gd._fullLayout;
    return Array.from(gd.querySelectorAll(".layer-above .imagelayer image")).flatMap(function (image) {
      const named = CUTOUT.exec(image.href.baseVal);
      const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(image.getAttribute(name)));
      const half = Math.min(width, height) / 2; // images are square, whatever room they are given
      return named ? [{ row: Number(named[1]), left: x + width / 2 - half - xaxis._offset, top: y + height / 2 - half - yaxis._offset }] : [];
    });
  }

  // A labelled galaxy has a dot in the colour of its label, in the corner of its image.
  function badges(gd) {
    return pictured(gd).flatMap(function (image) {
      const label = gf.labels && gf.labels.of(image.row);
      if (!label) return [];
      const circle = document.createElementNS(SVG, "circle");
      const attributes = { cx: image.left + 7, cy: image.top + 7, r: 4.5, fill: label.color, stroke: "#0b0f17", "stroke-width": 1.5, class: "gf-badge" };
      Object.entries(attributes).forEach(([name, value]) => circle.setAttribute(name, String(value)));
      const title = document.createElementNS(SVG, "title");
      title.textContent = label.text;
      circle.append(title);
      return [circle];
    });
  }

  function circles(gd, of) {
    const { xaxis, yaxis } = gd._fullLayout;
    return of.map(function (ring) {
      const circle = document.createElementNS(SVG, "circle");
      const attributes = { cx: xaxis.d2p(ring.x), cy: yaxis.d2p(ring.y), r: ring.radius, fill: ring.fill, stroke: ring.color, "stroke-width": ring.width, class: "gf-ring-" + ring.of };
      Object.entries(attributes).forEach(([name, value]) => circle.setAttribute(name, value));
      return circle;
    });
  }

  function draw(gd) {
    const found = layers(gd);
    if (!found) return;
    const { xaxis, yaxis, _plots } = gd._fullLayout;
    found.forEach(function (group) {
      group.setAttribute("transform", `translate(${xaxis._offset},${yaxis._offset})`);
      group.setAttribute("clip-path", `url(#${_plots.xy.clipId})`);
    });
    found[0].replaceChildren(...circles(gd, dots(gd)));
    found[1].replaceChildren(...circles(gd, rings(gd)), ...badges(gd));
  }

  // The galaxy whose image, or whose dot above an image, is under the mouse; points behind an image are not.
  function imageAt(gd, x, y) {
    const images = Array.from(gd.querySelectorAll(".layer-above .imagelayer image"));
    const found = images.reverse().find(function (image) {
      const box = image.getBoundingClientRect();
      const half = Math.min(box.width, box.height) / 2; // images are square, whatever room they are given
      return Math.abs(x - box.x - box.width / 2) <= half && Math.abs(y - box.y - box.height / 2) <= half;
    });
    if (!found) return null;
    const { xaxis, yaxis } = gd._fullLayout;
    const panel = gd.getBoundingClientRect();
    const away = (dot) => Math.hypot(panel.left + xaxis._offset + xaxis.d2p(dot.x) - x, panel.top + yaxis._offset + yaxis.d2p(dot.y) - y);
    const dot = dots(gd).find((one) => away(one) <= one.radius + 1);
    const named = CUTOUT.exec(found.href.baseVal);
    return dot ? dot.row : named ? Number(named[1]) : null;
  }

  /** @type {Set<Graph>} */
  const graphs = new Set();

  gf.above = {
    redraw: () => graphs.forEach((gd) => gd.isConnected && draw(gd)),
    rows: () => Array.from(graphs).flatMap((gd) => (gd.isConnected ? pictured(gd).map((image) => image.row) : [])),
    DRAWN: DRAWN,
    imageAt: imageAt,
    attach: function (gd) {
      graphs.add(gd);
      DRAWN.forEach((name) => gd.on(name, () => draw(gd)));
      draw(gd);
    },
    // For a figure to take along, which is drawn by plotly alone.
    shapes: (gd) => [...dots(gd), ...rings(gd)].map((ring) => ({
      type: "circle", xsizemode: "pixel", ysizemode: "pixel", xanchor: ring.x, yanchor: ring.y, layer: "above",
      x0: -ring.radius, x1: ring.radius, y0: -ring.radius, y1: ring.radius, line: { color: ring.color, width: ring.width }, fillcolor: ring.fill === "none" ? "rgba(0,0,0,0)" : ring.fill,
    })),
  };
})();
