import assert from "node:assert/strict";
import { test } from "node:test";

import { load, plain } from "./page.js";

const { pure } = load("0-pure.js").galaxyFinder;
const box = (x0, x1, y0, y1) => ({ x0, x1, y0, y1 });

test("ends of a view keep seven digits of what is in view", () => {
  assert.equal(pure.rounder([0, 10])(3.14159265358979), 3.14159);
  assert.equal(pure.rounder([2460000.1, 2460000.2])(2460000.123456789), 2460000.1234568);
  assert.equal(pure.rounder([10, 0])(3.14159265358979), 3.14159, "whichever way the axis runs");
});

test("a lasso along a line, or on a spot, is a slip", () => {
  assert.ok(pure.thin([[5, 5]]));
  assert.ok(pure.thin([[5, 5], [6, 6], [5, 6]]));
  assert.ok(pure.thin([[0, 0], [100, 50], [200, 101]]));
  assert.ok(!pure.thin([[0, 0], [100, 0], [100, 4]]));
});

test("boxes are alike to a thousandth of their size", () => {
  assert.ok(pure.alike(box(0, 10.009, 0, 5), box(0, 10, 0, 5)));
  assert.ok(!pure.alike(box(0, 10.011, 0, 5), box(0, 10, 0, 5)));
});

test("a view is carried onto another projection by as much as the hand has moved on", () => {
  const carried = pure.carried(box(0, 10, 0, 10), box(5, 10, 0, 20), box(100, 200, -1, 1));
  assert.deepEqual(plain(carried), box(150, 200, -1, 3));
});

test("the middlemost point is nearest by the view's own width and height", () => {
  assert.equal(pure.middlemost([0, 4, 5], [0, 0.5, 0.9], [0, 10], [0, 1]), 1);
  assert.equal(pure.middlemost([], [], [0, 10], [0, 1]), -1);
});

test("a card stands past the mouse, before it, and never off the window", () => {
  assert.equal(pure.beside(100, 200, 1000), 116);
  assert.equal(pure.beside(900, 200, 1000), 684);
  assert.equal(pure.beside(150, 290, 320), 22);
  assert.equal(pure.beside(150, 400, 320), 4);
});

test("keys lead from tile to tile, and to the nearest of the next line", () => {
  const boxes = [[0, 0], [100, 0], [200, 0], [0, 80], [90, 80], [0, 160]].map(([left, top]) => ({ left, top }));
  const at = (from, key) => pure.tileAt(boxes, from, key);
  assert.deepEqual([at(1, "ArrowLeft"), at(1, "ArrowRight"), at(1, "ArrowDown"), at(4, "ArrowUp")], [0, 2, 4, 1]);
  assert.deepEqual([at(2, "Home"), at(2, "End"), at(2, "ArrowDown")], [0, 5, 4]);
  assert.deepEqual([at(0, "ArrowUp"), at(5, "ArrowDown"), at(0, "ArrowLeft"), at(5, "ArrowRight")], [-1, -1, -1, 6], "nothing there");
});

test("whole numbers beyond 2^53 keep their digits", () => {
  const h = { zero: "9007199254740993" };
  assert.equal(pure.inward(h, "9007199254741000"), 7);
  assert.equal(pure.outward(h, 7), "9007199254741000");
  assert.equal(pure.inward({ zero: "0" }, "1.5"), 1.5);
  assert.equal(pure.outward({ zero: "0" }, 1.5), 1.5);
});

test("a share of a histogram is a value and back, on both scales", () => {
  for (const [log, middle] of [[false, 50.5], [true, 10]]) {
    const { value, share } = pure.scale({ edges: [1, 3, 100], log });
    assert.ok(Math.abs(value(0.5) - middle) < 1e-12);
    assert.ok(Math.abs(share(value(0.3)) - 0.3) < 1e-12);
  }
});

test("a bound has as many digits as a pixel deserves", () => {
  assert.equal(pure.tidy(2460000.123456, 0.01), 2460000.123);
  assert.equal(pure.tidy(0.7512345, 0.01), 0.751);
  assert.equal(pure.tidy(0, 0.01), 0);
});

test("what is typed for a number stays as typed but for the sign", () => {
  assert.equal(pure.numeral(" −1.5 "), "-1.5");
  assert.equal(pure.numeral("9007199254740993"), "9007199254740993");
  assert.equal(pure.numeral("  "), null);
});

test("ends that were typed are numbers in order", () => {
  assert.ok(pure.inOrder("1", "2", false) && pure.inOrder(null, "2", false) && pure.inOrder(null, null, false));
  assert.ok(pure.inOrder("1", "1.0", true) && !pure.inOrder("1", "1.0", false) && !pure.inOrder("10", "9", true));
  assert.ok(pure.inOrder("1152921504606846976", "1152921504606846977", false), "a browser's numbers are the same");
  assert.deepEqual(["1152921504606846977", "15", "1e20", null].map(pure.exact), ["1152921504606846977", 15, 1e20, null]);
  assert.ok(!pure.inOrder("one", null, true) && !pure.inOrder("Infinity", null, true));
});

test("a look keeps black and white where they are, and undoes what it does", () => {
  const straight = pure.curve({});
  assert.deepEqual([straight[0], straight[32], straight[64]], [0, 0.5, 1]);
  for (const look of [{ faint: 3 }, { faint: -3 }, { contrast: 3 }, { faint: 1, contrast: 2 }]) {
    const curve = pure.curve(look);
    assert.ok(Math.abs(curve[64] - 1) < 1e-12 && curve.every((v, at) => v >= 0 && v <= 1 && (!at || v >= curve[at - 1])));
    const turned = pure.curve({ ...look, invert: true });
    assert.ok(curve.every((v, at) => Math.abs(v + turned[at] - 1) < 1e-12));
  }
  assert.ok(Math.abs(pure.curve({ faint: 2 })[16] - Math.asinh(10 / 4) / Math.asinh(10)) < 1e-12, "Lupton's asinh");
  const bright = pure.curve({ faint: 2 })[16];
  const back = pure.curve({ faint: -2 });
  const at = bright * 64;
  const low = Math.floor(at);
  assert.ok(Math.abs(back[low] + (at - low) * (back[low + 1] - back[low]) - 0.25) < 0.01, "fainter undoes brighter");
});

test("words move aside at the edges of a panel, and the less important make room", () => {
  const word = (left, top) => ({ left: left, right: left + 50, top: top, bottom: top + 10 });
  const room = { left: 0, right: 200 };
  assert.deepEqual(pure.apart([word(70, 0), word(90, 5), word(90, 10)], room), [0, null, 0]);
  assert.deepEqual(pure.apart([word(-20, 0), word(170, 0)], room), [20, -20]);
  assert.deepEqual(pure.apart([word(-60, 0), word(260, 0)], room), [null, null], "what is out of the panel stays out");
  assert.deepEqual(pure.apart([word(170, 0), word(120, 0)], room), [-20, null], "met where it was moved to");
});
