// The picture of the sky that another server sends, behind the points. The server says which lies there, and shows it at
// once where it has it; else it is asked for here, and what was shown before stays where it lies, which is still true.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const AGAIN_MS = [300, 500, 800, 1200, 2000, 3000, 5000];
  const ABSENT = { coming: "is being asked", none: "has no picture of this part of the sky", away: "does not answer; the sky is drawn without it" };
  const isBehind = (image) => image.source.startsWith("/behind/");
  /** @type {Behind | null} */
  let last = null;
  let asked = "";

  function say(text) {
    const place = document.getElementById("sky-credit");
    if (place && place.textContent !== text) place.textContent = text;
  }

  function put(gd, told) {
    const others = gd.layout.images.filter((image) => !isBehind(image));
    last = told;
    window.Plotly.relayout(gd, { images: [told.image, ...others] });
  }

  async function ask(gd, told) {
    const address = told.image.source;
    asked = address;
    say(`${told.name} ${ABSENT.coming} …`);
    for (const wait of AGAIN_MS) {
      const response = await fetch(address).catch(() => null);
      if (asked !== address) return;
      if (response && response.status === 200) {
        put(gd, told);
        return say(told.credit);
      }
      const { absent } = response && response.status === 202 ? await response.json() : { absent: "away" };
      if (asked !== address) return;
      if (absent !== "coming") return say(`${told.name} ${ABSENT[absent]}.`);
      await new Promise((done) => window.setTimeout(done, wait));
      if (asked !== address) return;
    }
    say(`${told.name} ${ABSENT.away}.`);
  }

  gf.behind = function (gd) {
    const told = (gd.layout.meta && gd.layout.meta.behind) || null;
    if (!told) {
      last = null;
      asked = "";
      return say("");
    }
    if (told.shown) {
      last = told;
      asked = told.image.source;
      return say(told.credit);
    }
    if (last && last.plane === told.plane && !gd.layout.images.some(isBehind)) put(gd, last);
    if (asked !== told.image.source) ask(gd, told);
  };
})();
