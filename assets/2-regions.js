// Regions of the sky from elsewhere: pasted, or in a file of DS9 or a MOC. The server reads them and the page selects.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const say = (text) => (gf.one("#region-said").textContent = text);

  gf.local.region = function (event) {
    if (event.of === "text") {
      const field = gf.one("textarea#region-text");
      if (!field.value.trim()) return say("Paste a region first.");
      return bring(field.value, event.join);
    }
    const chooser = document.createElement("input");
    chooser.type = "file";
    chooser.addEventListener("change", () => chooser.files && chooser.files[0] && bring(chooser.files[0], "new"));
    chooser.click();
  };

  /**
   * @param {string | File} body
   * @param {Join} join
   */
  async function bring(body, join) {
    say("The region is being read…");
    try {
      const response = await window.fetch(`/regions/${gf.build}`, {
        method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: body,
      });
      const told = await response.json();
      if (!response.ok) return say(told.error || "The region was refused.");
      say(told.words);
      gf.send({ is: "region", region: told.selection, join: join });
    } catch {
      say("The server does not answer; nothing was selected.");
    }
  }
})();
