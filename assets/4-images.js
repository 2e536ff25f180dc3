// Lazy images: an <img data-src> is fetched when it comes near the visible part of its panel.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  /** @type {string[]} */
  let services = [];
  let bare = false;

  function elsewhere(own) {
    const { source = "", context = 96 } = gf.get("look");
    const nth = services.indexOf(source) + 1;
    const found = /^\/cutout\/(\w+\/[0-9]+)\.webp/.exec(own);
    return found && services.length && (nth || bare) ? `/remote/${found[1]}/${nth}-${context}.webp` : "";
  }

  async function ask(image, address) {
    const current = () => image.isConnected && image.dataset.shows === address;
    const outcome = await gf.awaitPicture(address, current);
    if (!current()) return;
    if (outcome === "shown") image.src = address;
    image.dataset.remote = outcome;
  }

  function show(image) {
    const own = image.dataset.src;
    const address = elsewhere(own);
    if (image.getAttribute("src") && image.dataset.shows === (address || own)) return;
    image.dataset.shows = address || own;
    if (image.getAttribute("src") !== own) image.src = own; // until another has come
    if (!address) return delete image.dataset.remote;
    image.dataset.remote = "coming";
    ask(image, address);
  }

  /** Show all images anew that are shown: they may come from elsewhere now. */
  gf.images = () => document.querySelectorAll("img[data-shows]").forEach(show);
  gf.cutouts = function (names, lacking, seen) {
    services = names;
    document.documentElement.classList.toggle("gf-saw", seen);
    bare = lacking;
    gf.images();
  };

  const nearby = new IntersectionObserver(
    (entries) => entries.filter((e) => e.isIntersecting).forEach((e) => show(e.target)),
    { rootMargin: "200px" }
  );

  function watch(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return;
    if (node.matches("img[data-src]")) nearby.observe(node);
    node.querySelectorAll("img[data-src]").forEach((image) => nearby.observe(image));
  }

  // Pictures that did not come while the server was away are fetched when it is back; those of a graph are SVG's.
  const failed = new Set();
  document.addEventListener("error", (e) => e.target.matches && e.target.matches("img, image") && failed.add(e.target), true);
  window.addEventListener("server-back", function () {
    const again = Array.from(failed).filter((image) => image.isConnected);
    failed.clear();
    again.forEach(function (image) {
      const name = image.matches("img") ? "src" : "href";
      const address = image.getAttribute(name);
      if (!address) return;
      image.removeAttribute(name);
      image.setAttribute(name, address);
    });
  });

  new MutationObserver(function (changes) {
    changes.forEach(function (change) {
      if (change.type === "attributes") {
        // The element now stands for another galaxy: look at it anew.
        const image = /** @type {Element} */ (change.target);
        image.removeAttribute("src");
        nearby.unobserve(image);
        nearby.observe(image);
      } else change.addedNodes.forEach(watch);
    });
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-src"] });
})();
