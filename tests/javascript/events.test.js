import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { load, plain } from "./page.js";

let window, gf;
const messages = () => plain(window.told.filter(([id]) => id === "event").map(([, props]) => props.data));
const names = () => messages().map((message) => message.events.map((event) => event.text || event.is));
const answer = (seq) => window.dash_clientside.gf.settle({ seq, build: "b", title: "" }, "{}");

beforeEach(() => {
  window = load("0-pure.js", "1-events.js");
  gf = window.galaxyFinder;
});

test("one message at a time; what comes meanwhile goes out together, in order", () => {
  ["a", "b", "c"].forEach((text) => gf.send({ is: "find", text }));
  assert.deepEqual(names(), [["a"]]);
  answer(1);
  assert.deepEqual(names(), [["a"], ["b", "c"]]);
  assert.ok(!gf.idle());
  answer(2);
  assert.ok(gf.idle());
});

test("of several views of one plane only the last goes out", () => {
  gf.send({ is: "random" });
  gf.send({ is: "view", plane: "map", box: 1 });
  gf.send({ is: "view", plane: "sky", box: 2 });
  gf.send({ is: "view", plane: "map", box: 3 });
  answer(1);
  assert.deepEqual(messages()[1].events.map((event) => event.box), [2, 3]);
});

test("a choice that reaches the queue twice is sent once", () => {
  gf.send({ is: "change", order: "least" });
  gf.send({ is: "change", order: "least" });
  answer(1);
  assert.equal(messages().length, 1);
});

test("of several events that were refused together each goes out by itself, and the one at fault is named", () => {
  gf.send({ is: "random" });
  ["a", "b", "c"].forEach((text) => gf.send({ is: "find", text }));
  answer(1);
  gf.refused(2, "One of these is wrong.");
  assert.deepEqual(names().slice(2), [["a"]]);
  answer(3);
  gf.refused(4, "This one is wrong.");
  assert.deepEqual(names().slice(2), [["a"], ["b"], ["c"]]);
  const said = window.told.filter(([id]) => id === "toast").map(([, props]) => props.children);
  assert.deepEqual(said, ["This one is wrong."]);
});

test("an answer to something older frees nothing", () => {
  gf.send({ is: "random" });
  answer(7);
  assert.ok(!gf.idle());
});

test("what the state leaves out is at its default", () => {
  window.dash_clientside.gf.settle({ seq: 0, build: "b", title: "" }, '{"shown":48}');
  assert.deepEqual([gf.get("shown"), gf.get("order"), plain(gf.get("filters"))], [48, "most", []]);
});

test("what waits for a job goes out again when it is done, unless one has gone on meanwhile", () => {
  const waits = { job: "j", events: [{ is: "express", text: "dear" }] };
  const wait = (seq) => window.dash_clientside.gf.settle({ seq, build: "b", title: "", waits }, "{}");
  gf.send({ is: "express", text: "dear" });
  wait(1);
  gf.jobEnded("other", "done");
  gf.jobEnded("j", "cancelled");
  assert.deepEqual(names(), [["dear"]]);
  gf.jobEnded("j", "done");
  assert.deepEqual(names(), [["dear"], ["dear"]]);
  wait(2);
  gf.send({ is: "random" });
  answer(3);
  gf.jobEnded("j", "done");
  assert.deepEqual(names(), [["dear"], ["dear"], ["random"]]);
});
