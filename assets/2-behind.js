// The picture of the sky that another server sends, behind the points. The server says which lies there, and shows it at
// once where it has it; else it is asked for here, and what was shown before stays where it lies, which is still true.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
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
    const outcome = await gf.awaitPicture(address, () => asked === address);
    if (asked !== address) return;
    if (outcome !== "shown") return say(`${told.name} ${ABSENT[outcome]}.`);
    put(gd, told);
    say(told.credit);
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
