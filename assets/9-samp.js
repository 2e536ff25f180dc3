// Other programs on the visitor's machine (SAMP): what is sent to them, and what comes from them. The server speaks to
// their hub; where it may not, it says why.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const EVERY_MS = 2000;
  const say = (text) => window.dash_clientside.set_props("toast", { children: text, is_open: true });
  const link = () => new URLSearchParams(window.location.search).get("s") || "";
  let since = -1;

  gf.local.samp = async function (e) {
    try {
      const response = await window.fetch(`/samp/${e.what}?${new URLSearchParams({ s: link() })}`, { method: "POST" });
      const told = await response.json();
      const text = told.said || told.error || "Nothing was sent.";
      say(text.charAt(0).toUpperCase() + text.slice(1));
    } catch {
      say("The server does not answer; nothing was sent.");
    }
  };

  // A list from elsewhere is kept as one that was chosen as a file: in the drawer of labels, which asks for a name.
  async function take(one) {
    const response = await window.fetch(`/samp/list/${one.n}`);
    if (!response.ok) return;
    const file = new File([await response.blob()], one.text + ".vot");
    if (gf.get("drawer") !== "labels") gf.send({ is: "change", drawer: "labels" });
    for (let i = 0; i < 50 && !document.querySelector("input#collection-name"); i++) await new Promise((done) => window.setTimeout(done, 100));
    gf.local.list({ of: "file", file: file });
  }

  function act(one) {
    if (one.what === "position") gf.send({ is: "find", text: one.text });
    else if (one.what === "list") take(one);
    else if (one.galaxy !== null) gf.send({ is: "pick", row: one.galaxy, build: gf.build });
    say(`${one.sender} sent a ${one.what}.`);
  }

  async function listen() {
    if (document.hidden || !gf.ready) return;
    try {
      const response = await window.fetch(`/samp/heard?since=${Math.max(0, since)}`);
      if (!response.ok) return;
      const told = await response.json();
      // What was said before this page was open is not for it.
      if (since >= 0) told.heard.forEach(act);
      since = told.n;
    } catch {
      // The server is away: the page says so by itself.
    }
  }

  gf.samp = function (on) {
    if (on) window.setInterval(listen, EVERY_MS);
  };
})();
