// The page of Aladin Lite (/aladin): a sky in tiles, and the galaxies of the selection over it. No other page loads
// this (dashboard/web/aladin_page.py), and the library comes from our own host. Whatever does not answer is said.
(function () {
  "use strict";
  const PAUSE_MS = 300;
  const WIDEST_DEG = 180;
  const NARROWEST_DEG = 0.001;
  const told = JSON.parse(document.body.dataset.told || "{}");

  /** @param {string} name */
  function one(name) {
    const found = document.getElementById(name);
    if (!found) throw new Error(`no #${name}`);
    return found;
  }

  const said = one("said");
  const survey = /** @type {HTMLSelectElement} */ (one("survey"));

  /** @param {string} text */
  function say(text) {
    said.textContent = text;
  }

  /** @param {string} address */
  async function answered(address) {
    try {
      return (await fetch(address, { cache: "no-cache" })).ok;
    } catch {
      return false;
    }
  }

  /** Galaxies of what is in view now; the answer of a view that was left is dropped. */
  function follow(aladin, catalogue, A) {
    let asked = 0;
    let timer = 0;

    async function ask() {
      const mine = ++asked;
      const [ra, dec] = aladin.getRaDec();
      const [fov, high] = aladin.getFov().map((deg) => String(Math.min(WIDEST_DEG, Math.max(NARROWEST_DEG, deg))));
      const query = new URLSearchParams({ ra: String(((ra % 360) + 360) % 360), dec: String(dec), fov, high, s: told.state });
      try {
        const answer = await fetch(`${told.galaxies}?${query}`);
        const found = await answer.json();
        if (mine !== asked) return;
        if (!answer.ok) throw new Error(found.error);
        catalogue.removeAll();
        catalogue.addSources(found.galaxies.map(([row, id, lon, lat]) => A.source(lon, lat, { row, id })));
        one("count").textContent = found.words;
      } catch (error) {
        if (mine === asked) one("count").textContent = error instanceof Error && !(error instanceof TypeError) ? error.message : "This server does not answer.";
      }
    }

    return function later() {
      window.clearTimeout(timer);
      timer = window.setTimeout(ask, PAUSE_MS);
    };
  }

  let shown = -1;

  /** Another survey behind the galaxies; where it does not answer, what lies there stays. */
  async function show(aladin, at) {
    const chosen = told.surveys[at];
    if (!(await answered(`${chosen.url}/properties`))) {
      if (shown < 0) return say(`${chosen.name} does not answer: the sky is drawn without it. Are you offline?`);
      survey.selectedIndex = shown;
      return say(`${chosen.name} does not answer: ${told.surveys[shown].name} stays.`);
    }
    say("");
    shown = at;
    one("credit").textContent = chosen.credit;
    aladin.setBaseImageLayer(chosen.url);
  }

  async function start() {
    const { default: A } = await import(told.library);
    await A.init;
    const [ra, dec, fov] = told.place;
    // What asks other hosts is off, the sky that it begins with too: the policy of this page would forbid it.
    const aladin = A.aladin("#sky", {
      survey: [], hipsList: [], target: `${ra} ${dec}`, fov, cooFrame: "ICRS", projection: fov > 90 ? "AIT" : "TAN",
      log: false, samp: false, showLayersControl: false, showGotoControl: false, showShareControl: false,
      showSimbadPointerControl: false, showContextMenu: false, showCooGridControl: true, showProjectionControl: true,
    });
    aladin.gotoRaDec(ra, dec);
    const catalogue = A.catalog({ name: "Galaxies", shape: "circle", sourceSize: 14, color: "#ffb454", hoverColor: "#ffffff" });
    aladin.addCatalog(catalogue);
    const later = follow(aladin, catalogue, A);
    aladin.on("positionChanged", later);
    aladin.on("zoomChanged", later);
    aladin.on("objectClicked", (object) => {
      if (object && object.data && "row" in object.data) window.location.assign(`${told.open}${object.data.row}?${new URLSearchParams({ s: told.state })}`);
    });
    later();
    survey.addEventListener("change", () => show(aladin, survey.selectedIndex));
    window.galaxyFinderAladin = aladin;
    await show(aladin, 0);
  }

  start().catch((error) => {
    const why = String(error).includes("WebGL2") ? "this browser has no WebGL 2" : "its script could not be loaded or started";
    say(`Aladin Lite cannot be shown: ${why}. Galaxy Finder itself goes on as before.`);
  });
})();
