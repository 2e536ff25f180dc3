// What the scripts of assets/ share, and what they take from others: for `tsc`, which reads both. Not in assets/, all of
// which is served.

type Plane = "map" | "sky" | "second";
type Box = { x0: number; x1: number; y0: number; y1: number };
type Pair = [number, number];
type Join = "new" | "add" | "subtract";

/** What the page shows (`dashboard/state/page_state.py`), as far as scripts read it; what is left out is at its default. */
interface State {
  focus: { id: string; ra_deg: number; dec_deg: number } | null;
  wanted: { id: string }[];
  unwanted: { id: string }[];
  filters: { is: string; column: string; values?: string[] }[];
  expression: string;
  subsets: unknown[];
  order: string;
  shown: number;
  axes: { x: string; y: string } | null;
  map: Box | null;
  sky: { projection: unknown; box: Box } | null;
  second_space: string;
  second: Box | null;
  color: string;
  shading: { palette?: string; reversed?: boolean; span?: number; low?: Bound; high?: Bound; log?: boolean | null };
  listing: "gallery" | "table";
  table: { columns?: string[]; sort?: string; descending?: boolean };
  sexagesimal: boolean;
  light: boolean;
  look: Look;
  enlarged: "" | "map" | "sky" | "gallery";
  drawer: string;
}

/** How images look (`dashboard/state/image_look.py`). */
type Look = { channel?: string; faint?: number; contrast?: number; invert?: boolean; source?: string; context?: number };

/** What scripts send (`dashboard/events/`); buttons bring more of them in `data-event`. */
type PageEvent =
  | { is: "open"; token: string }
  | { is: "find"; text: string }
  | { is: "pick"; row: number; build: string }
  | { is: "random" }
  | { is: "mark"; id: string; sign: -1 | 0 | 1 }
  | { is: "lasso"; plane: Plane; vertices: number[][]; join: Join; projection?: unknown }
  | { is: "region"; region: unknown; join: Join }
  | { is: "filter"; column: string; low?: number | string | null; high?: number | string | null; values?: string[]; text?: string }
  | { is: "alike"; low: number | string | null; high: number | string | null }
  | { is: "brush"; column: string }
  | { is: "against"; x: string; y: string }
  | { is: "tabulate"; sort: string; descending: boolean }
  | { is: "view"; plane: Plane; box?: Box; projection?: unknown }
  | { is: "labels" }
  | { is: "teach" }
  | { is: "clear" }
  | { is: "cluster"; label: number }
  | { is: "express"; text: string }
  | { is: "keep"; name: string }
  | { is: "withsubset"; at: number; do: "rename"; name: string }
  | ({ is: "change" } & Partial<State>);

/** `window.galaxyFinder`: 1-events.js makes it, the scripts after it put in what others of them call. */
interface GalaxyFinder {
  state: Partial<State>;
  build: string;
  ready: boolean;
  get<K extends keyof State>(name: K): State[K];
  send(event: PageEvent): void;
  idle(): boolean;
  /** Send again what waited for a job that is done, or that begins anew. */
  jobEnded(id: string, phase: string): void;
  refused(sequence: number, text: string): void;
  script(path: string): Promise<unknown>;
  /** What `data-event='{"is": "local", "do": …}'` names. */
  local: { [action: string]: (event?: any, element?: any) => unknown };
  above: {
    DRAWN: string[];
    redraw(): void;
    /** Galaxies whose images are on the planes. */
    rows(): number[];
    imageAt(gd: Graph, x: number, y: number): number | null;
    attach(gd: Graph): void;
    shapes(gd: Graph): object[];
  };
  /** Show images as the state says. */
  look(): void;
  /** Services whose cut-outs may be shown, whether the atlas lacks images, and whether it is known what the search saw. */
  cutouts(names: string[], bare: boolean, seen: boolean): void;
  /** Wait for a picture of another server while it is wanted: "shown" once ours has it, else why it is not there. */
  awaitPicture(address: string, wanted: () => boolean): Promise<string>;
  /** Show images from where they come now. */
  images(): void;
  /** Who speaks to other programs: listen to them where the server does. */
  samp(by: "server" | "page" | ""): void;
  /** Send to other programs by the page itself, and tell what came of it (9-samp-web.js). */
  webHub(what: "table" | "position", link: string): Promise<string>;
  /** What came from other programs, with the name of who sent it. */
  heard: { say(text: string): void; position(sender: string, text: string): void; row(sender: string, row: number | null): void; list(sender: string, name: string, blob: Blob): void };
  signs: { attach(gd: Graph): void };
  /** Show the picture of the sky that lies behind the points, or say why there is none. */
  behind(gd: Graph): void;
  explain(element: HTMLElement | null, isStill: () => boolean): void;
  grid(): any;
  move(moves: Partial<Record<Plane, [number, number, number, number]>>): void;
  drawing(): boolean;
  /** The element that must be there: an error that names it where it is not. */
  one<S extends string>(selector: S, place?: ParentNode): Named<S>;
  around<S extends string>(element: Element, selector: S): Named<S>;
  pure: Pure;
  unsort(): void;
  write(field: HTMLInputElement, text: string): void;
  typed(field: HTMLInputElement): void;
  /** Label the galaxy at hand, or that of a tile, or else that of the details, by a key, 0 takes its label away; take back the last. */
  label(key: number, place?: HTMLElement): void;
  unlabel(): void;
  /** Make the galaxy at hand a wanted (1) or unwanted (-1) example, or none any more where it is that already. */
  mark(sign: -1 | 1): void;
  /** Give the label of the galaxy at hand a grade, the next where none is named; write a note on it. */
  grade(to?: string, place?: HTMLElement): void;
  note(place?: HTMLElement): void;
  /** Ask for a line of text beside an element. */
  ask(title: string, text: string, beside: HTMLElement, done: (text: string) => void): void;
  labelTools: { draw(): void; more(count: number): boolean; waits(): boolean; grown(count: number): boolean };
  /** On to the next galaxy of the gallery without a label, or back to the one before. */
  ahead(back: boolean): void;
  labels: { boot(told: LabelsTold): void; seen(revision: number): void; revision(): number; waiting(): number; of(row: number): { text: string; color: string } | null; mine(row: number): Given | undefined; classes(): { key: number; label: string; color: string }[] };
}

/** What the gallery shows (`GalleryList` of `dashboard/views/gallery.py`). */
type GalleryList = { build: string; rows: number[]; ids: string[]; scores: string[]; whys: string[]; words: string[]; captions: [string, string[]][]; marks: { [at: string]: string } };
type LabelsTold = { revision: number; since?: number; classes: { key: number; label: string; color: string }[]; rows?: { [row: string]: Given[] } };
/** A label, the person who gave it, its grade and note. */
type Given = [string, string, string, string];
/** A value of SAMP. */
type Samp = string | Samp[] | { [name: string]: Samp };
/** A picture behind the points (`dashboard/views/sky_behind.py`). */
type Behind = { image: { source: string }; plane: string; name: string; credit: string; shown: boolean };
type Rect = { left: number; top: number };
type Histogram = { edges: number[]; log: boolean; zero: string; total: number[]; now: number[]; low: Bound; high: Bound };
type Bound = number | string | null;

/** Edges on the window, in pixels. */
interface Edges {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

/** Of 0-pure.js. */
interface Pure {
  rounder(range: Pair): (value: number) => number;
  thin(points: Pair[]): boolean;
  alike(a: Box, b: Box): boolean;
  carried(told: Box, now: Box, fresh: Box): Box;
  middlemost(xs: ArrayLike<number>, ys: ArrayLike<number>, x: Pair, y: Pair): number;
  beside(at: number, size: number, room: number): number;
  apart(boxes: Edges[], room: { left: number; right: number }): (number | null)[];
  tileAt(boxes: Rect[], at: number, key: string): number;
  inward(h: { zero: string }, value: number | string): number;
  outward(h: { zero: string }, value: number): number | string;
  scale(h: { edges: number[]; log: boolean }): { value(share: number): number; share(value: number): number };
  tidy(value: number, step: number): number;
  numeral(text: string): string | null;
  exact(text: string | null): number | string | null;
  inOrder(low: string | null, high: string | null, allowEqual: boolean): boolean;
  curve(look: Look): number[];
}

/** plotly's graph, and what of its inside is read: it has no other way to tell. */
interface Axis {
  range: Pair;
  visible: boolean;
  scaleanchor?: string | false;
  _offset: number;
  _length: number;
  d2p(value: number): number;
}
interface Trace {
  name: string;
  visible: boolean | "legendonly";
  x: ArrayLike<number>;
  y: ArrayLike<number>;
  customdata: ArrayLike<number>;
  marker: { color: string; size: number; line: { width: number; color?: string }; colorscale?: unknown };
}
interface Graph extends HTMLElement {
  layout: { [name: string]: any; meta?: { key?: string; flip?: [boolean, boolean]; projection?: unknown; behind?: Behind | null; holds?: [number, number, number, number] | null } };
  data: Trace[];
  _fullData: Trace[];
  _fullLayout: {
    xaxis: Axis;
    yaxis: Axis;
    dragmode: string;
    _infolayer?: { node(): SVGGElement };
    _plots: { xy?: { clipId: string } };
  };
  _hoverdata?: unknown;
  on(name: string, heard: (event: any) => unknown): void;
}

interface Window {
  galaxyFinder: GalaxyFinder;
  galaxyFinderAladin: any;
  Plotly: {
    relayout(gd: Graph, changes: object): Promise<unknown>;
    restyle(gd: Graph, changes: object, traces: number[]): Promise<unknown>;
    update(gd: Graph, data: object, layout: object): Promise<unknown>;
    toImage(figure: object, size: object): Promise<string>;
  };
  React: { createElement(tag: string, attributes: object): unknown };
  dash_clientside: { set_props(id: string, props: object): void; gf: { [callback: string]: (...told: any[]) => unknown } };
  dash_ag_grid?: { getApi(id: string): Grid };
  dashAgGridComponentFunctions?: object;
}
interface Grid {
  applyColumnState(state: object): void;
  getDisplayedRowCount(): number;
  ensureIndexVisible(row: number, at: "middle"): void;
  setFocusedCell(row: number, column: string): void;
}

// On the document the page hears what happened to its elements: lib.dom cannot know which.
interface DocumentEvents {
  change: Event & { target: HTMLInputElement };
  input: Event & { target: HTMLInputElement };
  toggle: ToggleEvent & { target: HTMLDetailsElement };
  focusin: FocusEvent & { target: HTMLInputElement };
  focusout: FocusEvent & { target: HTMLInputElement };
  click: PointerEvent & { target: HTMLElement };
  dblclick: MouseEvent & { target: HTMLElement };
  mousedown: MouseEvent & { target: HTMLElement };
  mouseover: MouseEvent & { target: HTMLElement };
  mouseup: MouseEvent & { target: HTMLElement };
  pointerdown: PointerEvent & { target: HTMLElement };
  pointerover: PointerEvent & { target: HTMLElement };
  wheel: WheelEvent & { target: HTMLElement };
  scroll: Event & { target: HTMLElement };
  keydown: KeyboardEvent & { target: HTMLInputElement };
  error: Event & { target: HTMLElement };
}
interface Document {
  addEventListener<K extends keyof DocumentEvents>(type: K, heard: (event: DocumentEvents[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
}
interface Window {
  addEventListener<K extends Exclude<keyof DocumentEvents, "error" | "scroll">>(type: K, heard: (event: DocumentEvents[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
}

// An element of the page is HTML's; which, its selector says.
type Named<S extends string> = S extends `${string} ${infer Last}`
  ? Named<Last>
  : S extends `input${string}`
    ? HTMLInputElement
    : S extends `select${string}`
      ? HTMLSelectElement
      : S extends `details${string}`
        ? HTMLDetailsElement
        : S extends `canvas${string}`
          ? HTMLCanvasElement
          : S extends `textarea${string}`
          ? HTMLTextAreaElement
          : S extends `img${string}`
            ? HTMLImageElement
            : S extends `a#${string}`
              ? HTMLAnchorElement
              : S extends `.js-plotly-plot${string}`
                ? Graph
                : HTMLElement;
interface ParentNode {
  querySelector<S extends string>(selectors: S): Named<S> | null;
  querySelectorAll<S extends string>(selectors: S): NodeListOf<Named<S>>;
}
interface Element {
  closest<S extends string>(selectors: S): Named<S> | null;
}
