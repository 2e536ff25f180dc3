// Other programs on the visitor's machine (SAMP): what is sent to them, and what comes from them. The server speaks to
// their hub where it runs on that machine too; else the page does (9-samp-web.js), or the server says why not.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const EVERY_MS = 2000;
  const say = (text) => window.dash_clientside.set_props("toast", { children: text.charAt(0).toUpperCase() + text.slice(1), is_open: true });
  const link = () => new URLSearchParams(window.location.search).get("s") || "";
  let since = -1;
  let byPage = false;

  async function byServer(what) {
    try {
      const response = await window.fetch(`/samp/${what}?${new URLSearchParams({ s: link() })}`, { method: "POST" });
      const told = await response.json();
      return told.said || told.error || "Nothing was sent.";
    } catch {
      return "The server does not answer; nothing was sent.";
    }
  }

  gf.local.samp = async function (e) {
    say(await (byPage ? gf.webHub(e.what, link()) : byServer(e.what)));
  };

  // A list from elsewhere is kept as one that was chosen as a file: in the drawer of labels, which asks for a name.
  async function take(name, blob) {
    const file = new File([blob], name + ".vot");
    if (gf.get("drawer") !== "labels") gf.send({ is: "change", drawer: "labels" });
    for (let i = 0; i < 50 && !document.querySelector("input#collection-name"); i++) await new Promise((done) => window.setTimeout(done, 100));
    gf.local.list({ of: "file", file: file });
  }

  gf.heard = {
    say: say,
    position: function (sender, text) {
      gf.send({ is: "find", text: text });
      say(`${sender} sent a position.`);
    },
    row: function (sender, row) {
      if (row !== null) gf.send({ is: "pick", row: row, build: gf.build });
      say(`${sender} sent a row.`);
    },
    list: function (sender, name, blob) {
      take(name, blob);
      say(`${sender} sent a list.`);
    },
  };

  async function act(one) {
    if (one.what === "position") return gf.heard.position(one.sender, one.text);
    if (one.what === "row") return gf.heard.row(one.sender, one.galaxy);
    const response = await window.fetch(`/samp/list/${one.n}`);
    if (response.ok) gf.heard.list(one.sender, one.text, await response.blob());
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

  gf.samp = function (by) {
    byPage = by === "page";
    if (by === "server") window.setInterval(listen, EVERY_MS);
  };
})();
