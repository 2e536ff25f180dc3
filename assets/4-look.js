// How images look: one filter of the browser for all of them, made of what the state says (`dashboard/state/image_look.py`).
// The pictures are fetched once, whatever is done to them.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const KEPT = { channel: "all", faint: 0, contrast: 0, invert: false, source: "", context: 96 };
  const MOST = 3;
  const CHANNELS = ["red", "green", "blue"];
  /** @returns {Required<Look>} */
  const look = () => ({ ...KEPT, ...gf.get("look") });
  const isKept = (now) => JSON.stringify(now) === JSON.stringify(KEPT);
  const isPlain = (now) => isKept({ ...now, source: KEPT.source, context: KEPT.context });

  gf.local.look = function (e) {
    const now = look();
    /** @type {Required<Look>} */
    let next = { ...KEPT };
    if (e.by) next = { ...now, [e.name]: Math.max(-MOST, Math.min(MOST, now[e.name] + e.by)) };
    else if (e.name === "invert") next = { ...now, invert: !now.invert };
    else if (e.name) next = { ...now, [e.name]: e.value };
    if (JSON.stringify(next) !== JSON.stringify(now)) gf.send({ is: "change", look: next });
  };

  function filter(now) {
    const only = CHANNELS.indexOf(now.channel);
    const row = [0, 1, 2].map((at) => (at === only ? 1 : 0)).join(" ") + " 0 0";
    const grey = only < 0 ? "" : `<feColorMatrix type="matrix" values="${row} ${row} ${row} 0 0 0 1 0"/>`;
    const curve = gf.pure.curve(now).map((v) => v.toFixed(4)).join(" ");
    const each = ["R", "G", "B"].map((c) => `<feFunc${c} type="table" tableValues="${curve}"/>`).join("");
    return `<filter id="gf-look" color-interpolation-filters="sRGB" x="0" y="0" width="1" height="1">${grey}<feComponentTransfer>${each}</feComponentTransfer></filter>`;
  }

  gf.look = function () {
    const now = look();
    const root = document.documentElement;
    let holder = document.getElementById("gf-look-holder");
    if (!holder) {
      holder = document.createElement("div");
      Object.assign(holder, { id: "gf-look-holder", className: "gf-hidden" });
      holder.setAttribute("aria-hidden", "true");
      document.body.append(holder);
    }
    const drawn = isPlain(now) ? "" : `<svg width="0" height="0">${filter(now)}</svg>`;
    if (holder.innerHTML !== drawn) holder.innerHTML = drawn;
    // Where the style stands decides which document the address is of: an inline one is of this.
    if (drawn) root.style.setProperty("--gf-look", "url(#gf-look)");
    else root.style.removeProperty("--gf-look");
    document.querySelectorAll("[data-look]").forEach(function (button) {
      const { look: name, lookValue: value } = /** @type {HTMLElement} */ (button).dataset;
      button.setAttribute("aria-pressed", String(String(now[name || ""]) === value));
    });
    document.querySelectorAll("[data-look-step]").forEach(function (shown) {
      const step = now[/** @type {HTMLElement} */ (shown).dataset.lookStep || ""];
      shown.textContent = step > 0 ? "+" + step : String(step).replace("-", "−");
    });
    // What the search saw is boxed where more is shown.
    root.classList.toggle("gf-more", now.context > KEPT.context);
    root.style.setProperty("--gf-around", 50 * (1 - KEPT.context / now.context) + "%");
    gf.images();
    const menu = document.querySelector(".gf-look");
    if (menu) menu.classList.toggle("on", !isKept(now));
  };
})();
