// Ends of the colour scale that are typed, in the menu beside it.
(function () {
  "use strict";
  const gf = window.galaxyFinder;

  document.addEventListener("change", function (event) {
    const menu = event.target.closest(".gf-shade-ends");
    if (!menu) return;
    const [low, high] = ["low", "high"].map(function (end) {
      const text = menu.querySelector(`[data-end="${end}"] input`).value.trim().replace("−", "-");
      return text === "" ? null : Number(text);
    });
    const wrong = [low, high].some(Number.isNaN) || (low !== null && high !== null && low >= high);
    event.target.setCustomValidity(wrong ? "a number, and the lower end below the upper one" : "");
    if (wrong) event.target.reportValidity();
    else gf.send({ is: "change", shading: Object.assign({}, gf.get("shading"), { low: low, high: high }) });
  });
})();
