// Lazy images: an <img data-src> is fetched when it comes near the visible part of its panel.
(function () {
  "use strict";
  function show(image) {
    if (image.getAttribute("src") !== image.dataset.src) image.src = image.dataset.src;
  }

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
