// The server, as the page knows it. What Dash asks goes through here: where nobody answers it is asked again until
// somebody does, so that nothing is lost; what is refused is said in a sentence, and frees the queue of events.
(function () {
  "use strict";
  const network = window.fetch.bind(window);
  const RETRY_MS = [500, 1000, 2000, 3000];
  const SLOW_MS = 10000;
  const PICTURE_MS = [300, 500, 800, 1200, 2000, 3000, 5000];
  const MOST_TRIES = 3; // a request that brings the server down must not do so for ever
  const SILENT = "The server does not answer; trying again.";
  const NOTHING_CHANGED = "Nothing was changed.";
  const REFUSED = {
    400: "The server could not read what this page sent. " + NOTHING_CHANGED + " If it happens again, reload the page.",
    403: "The server takes this page for one of another site. Reload it.",
    404: "The server has changed since this page was loaded. Reload it.",
    413: "This is more than the server takes at once. " + NOTHING_CHANGED + " Choose less, or draw a simpler outline.",
    429: "The server is asked too much at the moment. " + NOTHING_CHANGED + " Try again soon.",
  };
  let leaving = false;
  window.addEventListener("pagehide", () => (leaving = true));
  window.addEventListener("pageshow", () => (leaving = false));

  const pause = (ms) => new Promise((done) => window.setTimeout(done, ms));
  const isDash = (address) => new URL(address, window.location.href).pathname.includes("/_dash-");
  // A proxy whose server is gone answers in its place; what our own server says is JSON.
  const answers = (r) => ![502, 503, 504].includes(r.status) || (r.headers.get("Content-Type") || "").startsWith("application/json");

  function notice(text) {
    let place = document.getElementById("server-says");
    if (!place) {
      place = Object.assign(document.createElement("div"), { id: "server-says", className: "gf-server-says" });
      place.setAttribute("role", "status");
      document.body.append(place);
    }
    place.textContent = text;
    place.hidden = !text;
  }

  // All that wait share one look at whether the server is back.
  /** @type {Promise<void> | null} */
  let back = null;
  function whenBack() {
    async function look() {
      for (let i = 0; ; i++) {
        await pause(RETRY_MS[Math.min(i, RETRY_MS.length - 1)]);
        try {
          if (answers(await network("/healthz", { cache: "no-store" }))) return;
        } catch {
          // Nobody there yet.
        }
        if (!leaving) notice(SILENT);
      }
    }
    back = back || look().then(function () {
      back = null;
      notice("");
      window.dispatchEvent(new Event("server-back"));
    });
    return back;
  }

  // A picture that our server fetches from another one: it says at once whether it has it by now, and is asked again.
  async function awaitPicture(address, wanted) {
    for (const wait of PICTURE_MS) {
      const response = await network(address).catch(() => null);
      if (response && response.status === 200) return "shown";
      const { absent } = response && response.status === 202 ? await response.json() : { absent: "away" };
      if (absent !== "coming") return absent;
      if (!wanted()) return "coming";
      await pause(wait);
      if (!wanted()) return "coming";
    }
    return "away";
  }

  async function ask(input, init) {
    const slow = window.setTimeout(() => notice("The server is slow to answer; still waiting."), SLOW_MS);
    try {
      for (let tries = 1; ; tries++) {
        try {
          const response = await network(input, init);
          if (answers(response) || tries === MOST_TRIES) return response;
        } catch (error) {
          if (leaving || tries === MOST_TRIES) throw error;
        }
        await whenBack();
      }
    } finally {
      window.clearTimeout(slow);
      if (!back) notice("");
    }
  }

  // Which message of the queue a request carries; 0 where it is a panel that asks.
  function sequenceOf(init) {
    if (!init || typeof init.body !== "string" || !init.body.includes('"id":"event"')) return 0;
    const [first] = JSON.parse(init.body).inputs || [];
    return first && first.id === "event" && first.value ? first.value.seq : 0;
  }

  async function sentence(response) {
    if (REFUSED[response.status]) return REFUSED[response.status];
    const told = await response.clone().json().then((body) => body.error, () => "");
    return (told || "Something went wrong on the server.") + " " + NOTHING_CHANGED;
  }

  async function watch(response, sequence) {
    const gf = window.galaxyFinder;
    if (!response) gf.refused(sequence, "The connection broke off again and again over this. " + NOTHING_CHANGED);
    else if (!response.ok) gf.refused(sequence, await sentence(response));
    // A callback that failed says so on the page by itself; its events stay unanswered.
    else if (sequence && !(await response.clone().text()).includes('"ack":')) gf.refused(sequence, "");
  }

  window.galaxyFinder.awaitPicture = awaitPicture;

  /** @type {typeof window.fetch} */
  window.fetch = async function (input, init) {
    if (typeof input !== "string" || !isDash(input)) return network(input, init);
    const sequence = sequenceOf(init);
    /** @type {Response | null} */
    let response = null;
    try {
      return (response = await ask(input, init));
    } finally {
      if (!leaving) watch(response, sequence);
    }
  };
})();
