// A window with nothing in it, for scripts of assets/ that need no page.
import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";

const ASSETS = new URL("../../assets/", import.meta.url);

// The window after these scripts have run in it, in this order. Listeners are kept by name, what Dash is told is kept in
// `window.told`; `window.run` runs another.
export function load(...names) {
  const heard = {};
  const told = [];
  const listen = (name, act) => (heard[name] = [...(heard[name] || []), act]);
  const document = { addEventListener: listen, documentElement: { dataset: {} }, getElementById: () => null, querySelector: () => null, activeElement: null, title: "" };
  const location = { search: "", pathname: "/", href: "http://localhost/" };
  const window = { addEventListener: listen, document, location, heard, told, dash_clientside: { set_props: (id, props) => told.push([id, props]) } };
  Object.assign(window, { window, URL, URLSearchParams, setTimeout, clearTimeout, fetch: () => Promise.reject(new Error("no network here")) });
  const context = createContext(window);
  window.run = (name) => runInContext(readFileSync(new URL(name, ASSETS), "utf8"), context, { filename: name });
  names.forEach(window.run);
  return window;
}

// A value of the window as one of here: each has its own Array and Object.
export const plain = (value) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));
