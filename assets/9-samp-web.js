// SAMP's web profile (IVOA SAMP 1.3, chapter 5): the page itself speaks to the hub of its visitor's machine, which asks
// the visitor first. Nothing is said to it before somebody sends something. Calls are XML-RPC with strings, lists, maps.
(function () {
  "use strict";
  const gf = window.galaxyFinder;
  const HUB = "http://localhost:21012/"; // the one address that the policy of the page allows for this
  const [TABLE, TABLE_FITS, POSITION, ROW] = ["table.load.votable", "table.load.fits", "coord.pointAt.sky", "table.highlight.row"];
  const TAKES = { [TABLE]: "tables", [POSITION]: "positions" };
  const PULL_S = "60";
  const PAUSE_MS = 1000;
  const MOST_BYTES = 20_000_000;
  const SECURE = "This page came over https, from which browsers and programs of your machine are kept apart (SAMP's web profile is plain http): download the table as VOTable, or run Galaxy Finder on your own machine.";
  const NO_HUB = "No program that speaks SAMP answers on this machine, or your browser keeps this page from it: start TOPCAT or Aladin, then try again.";
  const REFUSED = "The other program did not let this page in.";
  let key = "";
  let translator = "";
  /** @type {Map<string, string>} */
  const sent = new Map(); // what the page was, by the id of the table that was sent

  const escaped = (text) => text.replace(/[&<>]/g, (c) => `&#${c.charCodeAt(0)};`);
  /** @type {(value: Samp) => string} */
  function xml(value) {
    if (typeof value === "string") return `<value><string>${escaped(value)}</string></value>`;
    if (Array.isArray(value)) return `<value><array><data>${value.map(xml).join("")}</data></array></value>`;
    const members = Object.entries(value).map(([name, one]) => `<member><name>${escaped(name)}</name>${xml(one)}</member>`);
    return `<value><struct>${members.join("")}</struct></value>`;
  }

  /** @type {(value: Element) => any} */
  function read(value) {
    const inside = value.firstElementChild;
    if (!inside) return value.textContent || "";
    const parts = Array.from(inside.children);
    if (inside.tagName === "array") return Array.from(parts[0].children, read);
    if (inside.tagName === "struct") return Object.fromEntries(parts.map((one) => [one.children[0].textContent, read(one.children[1])]));
    return inside.textContent || "";
  }

  /** @type {(method: string, ...params: Samp[]) => Promise<any>} */
  async function call(method, ...params) {
    const given = params.map((one) => `<param>${xml(one)}</param>`).join("");
    const body = `<?xml version="1.0"?><methodCall><methodName>samp.webhub.${method}</methodName><params>${given}</params></methodCall>`;
    const response = await window.fetch(HUB, { method: "POST", headers: { "Content-Type": "text/xml" }, body: body, credentials: "omit", keepalive: method === "unregister" });
    const told = new DOMParser().parseFromString(await response.text(), "text/xml");
    const value = told.querySelector("methodResponse > params > param > value");
    if (!value) throw new RangeError("the hub refused " + method);
    return read(value);
  }

  function admit(mine, address) {
    [key, translator] = [mine, address];
    listen(mine);
  }

  function forget(mine) {
    if (key === mine) key = "";
  }

  const nameOf = (mine, client) => call("getMetadata", mine, client).then((about) => String(about["samp.name"] || client).slice(0, 40), () => client);

  async function connect() {
    if (key && (await call("getRegisteredClients", key).then(() => true, () => false))) return;
    forget(key);
    await call("ping");
    gf.heard.say("Another program on your machine asks whether this page may speak to it: allow it there.");
    const told = await call("register", { "samp.name": "Galaxy Finder" });
    const mine = told["samp.private-key"];
    const about = { "samp.name": "Galaxy Finder", "samp.description.text": "Galaxies that look alike, on a map and on the sky" };
    await call("declareMetadata", mine, about);
    await call("allowReverseCallbacks", mine, "1");
    await call("declareSubscriptions", mine, { [TABLE]: {}, [TABLE_FITS]: {}, [POSITION]: {}, [ROW]: {} });
    admit(mine, told["samp.url-translator"]);
  }

  async function listen(mine) {
    while (key === mine) {
      try {
        const told = await call("pullCallbacks", mine, PULL_S);
        for (const one of told) await receive(mine, one["samp.methodName"], one["samp.params"]);
        if (!told.length) await new Promise((done) => window.setTimeout(done, PAUSE_MS)); // a hub need not wait
      } catch {
        forget(mine); // it has gone; what is sent next asks anew
      }
    }
  }

  async function receive(mine, method, params) {
    const asks = method.endsWith("receiveCall");
    if (!asks && !method.endsWith("receiveNotification")) return;
    const message = params[asks ? 2 : 1];
    const name = await nameOf(mine, params[0]);
    /** @type {Samp} */
    let answer = { "samp.status": "samp.ok", "samp.result": {} };
    try {
      await act(message["samp.mtype"], message["samp.params"], name);
    } catch {
      answer = { "samp.status": "samp.error", "samp.result": {}, "samp.error": { "samp.errortxt": "this message could not be understood" } };
    }
    if (asks) await call("reply", mine, params[1], answer);
  }

  async function act(mtype, params, name) {
    if (mtype === POSITION) {
      const [ra, dec] = [Number(params.ra), Number(params.dec)];
      if (!Number.isFinite(ra) || !(Math.abs(dec) <= 90)) throw new RangeError("no position");
      gf.heard.position(name, `${(((ra % 360) + 360) % 360).toFixed(7)} ${dec.toFixed(7)}`);
    } else if (mtype === ROW) {
      const link = sent.get(params["table-id"]);
      if (link === undefined) throw new RangeError("another table");
      const response = await window.fetch(`/samp/row?${new URLSearchParams({ s: link, row: params.row })}`);
      gf.heard.row(name, response.ok ? (await response.json()).galaxy : null);
    } else if (mtype === TABLE || mtype === TABLE_FITS) {
      gf.heard.list(name, params.name || params["table-id"] || "list", await bounded(params.url));
    }
  }

  // A page may not read what another program serves: the hub reads it for it.
  async function bounded(url) {
    const response = await window.fetch(translator + encodeURIComponent(url), { credentials: "omit" });
    if (!response.ok || !response.body) throw new RangeError("no table");
    const reader = response.body.getReader();
    const parts = [];
    for (let size = 0; ; ) {
      const { done, value } = await reader.read();
      if (done) return new Blob(parts);
      parts.push(value);
      size += value.length;
      if (size > MOST_BYTES) {
        await reader.cancel();
        throw new RangeError("too large");
      }
    }
  }

  async function tell(mtype, params) {
    const takers = Object.keys(await call("getSubscribedClients", key, mtype));
    if (!takers.length) return `No program that runs now takes ${TAKES[mtype]}: start TOPCAT, Aladin or DS9, then try again.`;
    const names = await Promise.all(takers.map((one) => nameOf(key, one)));
    await call("notifyAll", key, { "samp.mtype": mtype, "samp.params": params });
    return `Sent to ${Array.from(new Set(names)).sort().join(" and ")}.`;
  }

  async function sendTable(link) {
    const response = await window.fetch(`/samp/offer?${new URLSearchParams({ s: link })}`);
    const told = await response.json();
    if (!response.ok) return told.error;
    await connect();
    const id = `galaxy-finder-${Date.now().toString(36)}`;
    sent.set(id, link);
    return tell(TABLE, { "url": new URL(told.path, window.location.href).href, "table-id": id, "name": told.name });
  }

  async function sendPosition() {
    const focus = gf.get("focus");
    if (!focus) return "Choose a galaxy first: its position is sent.";
    await connect();
    return tell(POSITION, { ra: focus.ra_deg.toFixed(7), dec: focus.dec_deg.toFixed(7) });
  }

  /** Send the table of a link, or the position of the galaxy in the details; tells in a sentence what came of it. */
  gf.webHub = async function (what, link) {
    if (window.location.protocol === "https:") return SECURE;
    try {
      return await (what === "table" ? sendTable(link) : sendPosition());
    } catch (error) {
      return error instanceof RangeError ? REFUSED : NO_HUB;
    }
  };

  window.addEventListener("pagehide", function () {
    if (key) call("unregister", key).catch(() => null);
    forget(key);
  });
})();
