// Reckoning that needs no page: numbers in, numbers out, tested by themselves (tests/javascript). The scripts after this
// one find it at `galaxyFinder.pure`.
(function () {
  "use strict";
  const SLIP_PX = 3;

  // Seven digits of what is in view, wherever it lies: a night among years, or a speck of a map.
  function rounder([from, to]) {
    const step = 10 ** (Math.floor(Math.log10(Math.abs(to - from))) - 6);
    return (v) => Number((Math.round(v / step) * step).toPrecision(15));
  }

  // Whether points lie on one line, or on one spot: a click with a slip, and no lasso.
  function thin(points) {
    const [x0, y0] = points[0];
    const away = points.map(([x, y]) => Math.hypot(x - x0, y - y0));
    const far = away.indexOf(Math.max(...away));
    const [dx, dy] = [points[far][0] - x0, points[far][1] - y0];
    return away[far] < SLIP_PX || points.every(([x, y]) => Math.abs((x - x0) * dy - (y - y0) * dx) < SLIP_PX * away[far]);
  }

  // Whether two boxes are the same to a thousandth of the second.
  function alike(a, b) {
    const slack = 0.001 * Math.max(b.x1 - b.x0, b.y1 - b.y0);
    return ["x0", "x1", "y0", "y1"].every((edge) => Math.abs(a[edge] - b[edge]) <= slack);
  }

  // The box that lies to `fresh` as `now` lies to `told`.
  function carried(told, now, fresh) {
    const along = (v, a0, a1, b0, b1) => b0 + ((v - a0) / (a1 - a0)) * (b1 - b0);
    const [x0, x1] = [now.x0, now.x1].map((v) => along(v, told.x0, told.x1, fresh.x0, fresh.x1));
    const [y0, y1] = [now.y0, now.y1].map((v) => along(v, told.y0, told.y1, fresh.y0, fresh.y1));
    return { x0: x0, x1: x1, y0: y0, y1: y1 };
  }

  // Where the point lies that is nearest to the middle of what is in view, by the view's own width and height; -1 of none.
  function middlemost(xs, ys, x, y) {
    const [cx, cy, w, h] = [(x[0] + x[1]) / 2, (y[0] + y[1]) / 2, x[1] - x[0], y[1] - y[0]];
    let [best, at] = [Infinity, -1];
    for (let i = 0; i < xs.length; i++) {
      const away = ((xs[i] - cx) / w) ** 2 + ((ys[i] - cy) / h) ** 2;
      if (away < best) [best, at] = [away, i];
    }
    return at;
  }

  // Past the mouse, or before it where there is no room; never off the window, and on the mouse only where nothing else is left.
  function beside(at, size, room) {
    const past = at + 16;
    if (past + size + 8 <= room) return past;
    return at - 16 - size >= 4 ? at - 16 - size : Math.max(4, room - size - 8);
  }

  // Words in a panel, the most important first: how far each moves aside to be read whole, or null where it would lie on
  // one before it, or its place is out of the panel.
  function apart(boxes, room) {
    const kept = [];
    return boxes.map(function ({ left, right, top, bottom }) {
      const aside = Math.max(room.left - left, 0) + Math.min(room.right - right, 0);
      const met = kept.some((one) => left + aside < one.right && right + aside > one.left && top < one.bottom && bottom > one.top);
      if (met || Math.abs(aside) > right - left) return null;
      kept.push({ left: left + aside, right: right + aside, top: top, bottom: bottom });
      return aside;
    });
  }

  // Of tiles in lines, the one that a key leads to: above or below it is the one of the next line that lies nearest.
  function tileAt(boxes, at, key) {
    if (key === "Home") return 0;
    if (key === "End") return boxes.length - 1;
    if (key === "ArrowRight" || key === "ArrowLeft") return at + (key === "ArrowRight" ? 1 : -1);
    const down = (i) => (key === "ArrowDown" ? 1 : -1) * (boxes[i].top - boxes[at].top);
    const aside = (i) => Math.abs(boxes[i].left - boxes[at].left);
    const ahead = Array.from(boxes.keys()).filter((i) => down(i) > 1);
    const line = Math.min(...ahead.map(down));
    return ahead.filter((i) => down(i) < line + 1).reduce((best, i) => (best < 0 || aside(i) < aside(best) ? i : best), -1);
  }

  // Whole numbers beyond 2^53 are text, and counted from the histogram's zero: a browser's numbers would lose digits.
  const long = (v) => (typeof v === "string" ? BigInt(v) : BigInt(Math.round(v)));
  const inward = (h, v) => (h.zero === "0" ? Number(v) : Number(long(v) - BigInt(h.zero)));
  const outward = (h, v) => (h.zero === "0" ? v : String(BigInt(Math.round(v)) + BigInt(h.zero)));

  // From a share of the width to a value and back; edges lie evenly on a linear or a logarithmic scale.
  function scale(h) {
    const [a, b] = [h.edges[0], h.edges[h.edges.length - 1]].map((v) => (h.log ? Math.log10(v) : v));
    return {
      value: (share) => (h.log ? 10 ** (a + share * (b - a)) : a + share * (b - a)),
      share: (value) => ((h.log ? Math.log10(value) : value) - a) / (b - a),
    };
  }

  // As many digits as a pixel of the histogram deserves: a night among Julian dates needs nine, a redshift three.
  const tidy = (v, step) => (v === 0 ? 0 : Number(v.toPrecision(Math.min(17, Math.max(2, Math.ceil(Math.log10(Math.abs(v) / step)) + 1)))));

  // What was typed into a field for a number: text, as typed but for the sign, and null where it is empty.
  const numeral = (text) => text.trim().replace("−", "-") || null;

  // A number that was typed, or text where a browser's number would lose digits of a whole one.
  const exact = (text) => (text === null ? null : /^[+-]?[0-9]+$/.test(text) && Math.abs(Number(text)) > 2 ** 53 ? String(BigInt(text.replace("+", ""))) : Number(text));

  // Whether two ends that were typed, if they were, are numbers in order.
  function inOrder(low, high, allowEqual) {
    const whole = [low, high].map(exact);
    if (whole.every((v) => typeof v === "string")) return BigInt(whole[0]) < BigInt(whole[1]) || (allowEqual && whole[0] === whole[1]);
    const ends = [low, high].filter((v) => v !== null).map(Number);
    return ends.every(Number.isFinite) && (ends.length < 2 || ends[0] < ends[1] || (allowEqual && ends[0] === ends[1]));
  }

  // What a look makes of brightness, 65 points from black to white: an asinh stretch, then contrast, then inversion.
  const STRETCH = [0, 3, 10, 30];
  function curve({ faint = 0, contrast = 0, invert = false }) {
    const a = STRETCH[Math.abs(faint)];
    const slope = 1.35 ** contrast;
    return Array.from({ length: 65 }, function (_, at) {
      const t = at / 64;
      const stretched = faint > 0 ? Math.asinh(a * t) / Math.asinh(a) : faint < 0 ? Math.sinh(t * Math.asinh(a)) / a : t;
      const v = Math.max(0, Math.min(1, (stretched - 0.5) * slope + 0.5));
      return invert ? 1 - v : v;
    });
  }

  /** @type {Pure} */
  const pure = { rounder, thin, alike, carried, middlemost, beside, apart, tileAt, inward, outward, scale, tidy, numeral, exact, inOrder, curve };
  window.galaxyFinder = /** @type {GalaxyFinder} */ ({ pure: pure });
})();
