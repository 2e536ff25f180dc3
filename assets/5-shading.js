// Ends of the colour scale that are typed, in the menu beside it.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const { numeral, inOrder, exact } = gf.pure;

  document.addEventListener("change", function (event) {
    const menu = event.target.closest(".gf-shade-ends");
    if (!menu) return;
    const [low, high] = ["low", "high"].map((end) => numeral(gf.one(`[data-end="${end}"] input`, menu).value));
    const wrong = !inOrder(low, high, false);
    event.target.setCustomValidity(wrong ? "a number, and the lower end below the upper one" : "");
    if (wrong) event.target.reportValidity();
    else gf.send({ is: "change", shading: Object.assign({}, gf.get("shading"), { low: exact(low), high: exact(high) }) });
  });
})();
