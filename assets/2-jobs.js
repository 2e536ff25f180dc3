// Jobs: an element with data-job shows work that takes longer than a request. While it is under way its server is asked
// how far it is; when it has ended, whoever waits for its answer is told by the store `job-ended`.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const EVERY_MS = 250;
  const UNDER_WAY = ["waiting", "running"];
  /** @type {Map<string, { title: string, share: number }>} */
  const watched = new Map(); // by id; also those whose panel was closed meanwhile
  let asking = false;

  const shown = (id) => Array.from(document.querySelectorAll(id ? `[data-job="${id}"]` : "[data-job]"));

  function write(id, job) {
    shown(id).forEach(function (element) {
      element.dataset.phase = job.phase;
      gf.one("progress", element).setAttribute("value", String(job.share));
      gf.one(".gf-job-told", element).textContent = job.told;
    });
  }

  function ended(id, phase) {
    watched.delete(id);
    window.dash_clientside.set_props("job-ended", { data: { id: id, phase: phase, at: Date.now() } });
    gf.jobEnded(id, phase);
  }

  function line() {
    const place = document.getElementById("status-jobs");
    if (!place) return;
    const [first] = watched.values();
    const more = watched.size > 1 ? ` (and ${watched.size - 1} more)` : "";
    place.textContent = first ? `${first.title}: ${Math.round(100 * first.share)} %${more}` : "";
  }

  async function ask() {
    if (asking) return;
    asking = true;
    while (watched.size) {
      const ids = Array.from(watched.keys()).slice(0, 20);
      try {
        const answer = await window.fetch("/jobs.json?ids=" + ids.join(","), { cache: "no-store" });
        if (answer.ok)
          Object.entries(await answer.json()).forEach(function ([id, job]) {
            const one = watched.get(id);
            if (one) one.share = job.share;
            write(id, job);
            if (!UNDER_WAY.includes(job.phase)) ended(id, job.phase);
          });
      } catch {
        // Nobody there for a moment: asked again.
      }
      line();
      await new Promise((done) => window.setTimeout(done, EVERY_MS));
    }
    line();
    asking = false;
  }

  gf.local.job = async function (event, button) {
    const element = gf.around(button, "[data-job]");
    const id = element.dataset.job || "";
    const answer = await window.fetch(`/jobs/${id}/${event.what}`, { method: "POST" });
    if (answer.ok && event.what === "cancel") write(id, await answer.json());
    if (answer.ok && event.what === "again") ended(id, "gone");
  };

  new MutationObserver(function () {
    shown("").forEach(function (element) {
      const id = element.dataset.job || "";
      if (!UNDER_WAY.includes(element.dataset.phase || "") || watched.has(id)) return;
      watched.set(id, { title: gf.one(".gf-job-title", element).textContent || "", share: 0 });
      ask();
    });
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
