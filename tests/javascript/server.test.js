import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { load } from "./page.js";

let asked, answers, gf;
const answer = (status, absent) => () => Promise.resolve({ status, json: () => Promise.resolve({ absent }) });
const wait = (wanted = () => true) => gf.awaitPicture("/behind/mine.webp", wanted);

beforeEach(() => {
  asked = [];
  answers = [];
  const window = load("0-pure.js");
  window.fetch = (address) => (asked.push(address), answers.shift()());
  window.run("0-server.js");
  gf = window.galaxyFinder;
});

test("a picture is asked for again while it is coming", async () => {
  answers = [answer(202, "coming"), answer(200)];
  assert.equal(await wait(), "shown");
  assert.deepEqual(asked, ["/behind/mine.webp", "/behind/mine.webp"]);
});

test("one that does not come is asked for once, and why is told", async () => {
  for (const [reply, told] of [[answer(202, "none"), "none"], [answer(202, "away"), "away"], [answer(500), "away"], [() => Promise.reject(new Error("nobody")), "away"]]) {
    answers = [reply];
    assert.equal(await wait(), told);
  }
  assert.equal(asked.length, 4);
});

test("one that is wanted no more is not asked for again", async () => {
  answers = [answer(202, "coming")];
  assert.equal(await wait(() => false), "coming");
  assert.equal(asked.length, 1);
});
