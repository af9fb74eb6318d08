// The show as it is now: a snapshot and changes over one WebSocket, gone on with from the last one seen.

import { SvelteMap } from "svelte/reactivity";
import type { components } from "../generated/api";
import { session } from "./session.svelte";

type Schemas = components["schemas"];
/** Objects there is one of. */
export interface Single {
  health: Schemas["HealthView"];
  show: Schemas["ShowView"];
  frames: Schemas["FramesView"];
  nodes: Schemas["NodesView"];
  alarms: Schemas["AlarmsView"];
  action: Schemas["ActionView"];
  cues: Schemas["CueListView"];
  takes: Schemas["TakesView"];
  look: Schemas["LookNowView"];
  hands: Schemas["HandsView"];
}
/** Objects there are several of, by id. */
export interface Many {
  cameras: Schemas["CameraView"];
  sources: Schemas["SourceView"];
  subjects: Schemas["SubjectView"];
  canvases: Schemas["CanvasView"];
  scenes: Schemas["SceneView"];
  processors: Schemas["ProcessorView"];
  streams: Schemas["StreamView"];
  positions: Schemas["PositionView"];
  patterns: Schemas["PatternView"];
  cards: Schemas["CardView"];
  chromakeys: Schemas["ChromaKeyView"];
  looks: Schemas["LookView"];
}
interface Envelope {
  seq: number;
  type: string;
  rev: number;
  data: { id?: string } & Record<string, unknown>;
}
export interface Happening {
  n: number;
  timecode: string;
  text: string;
}
export type Connection = "connecting" | "open" | "lost" | "shut";

const PLURAL: Record<string, string> = {
  camera: "cameras", source: "sources", subject: "subjects", canvas: "canvases", scene: "scenes", position: "positions",
  pattern: "patterns", processor: "processors", stream: "streams", look: "looks", card: "cards", chromakey: "chromakeys",
};
const LOG = 200;
const SILENT_MS = 1000;

export const socketUrl = (path: string): string =>
  `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1${path}`;

class Live {
  connection = $state<Connection>("connecting");
  /** What happened lately, newest first. */
  log = $state.raw<Happening[]>([]);
  /** Rises with every accepted change of the show. */
  changes = $state(0);
  /** Rises with every snapshot: everything may be otherwise. */
  snapshots = $state(0);
  #objects = new SvelteMap<string, unknown>();
  #waiting = new Map<string, unknown>();
  #whole: Record<string, unknown> | null = null;
  #scheduled = false;
  #seq: number | null = null;
  #retryMs = 250;
  #happened = 0;
  #heardMs = 0;
  #listeners = new Set<(key: string, value: unknown) => void>();

  one<K extends keyof Single>(key: K): Single[K] | undefined {
    return this.#objects.get(key) as Single[K] | undefined;
  }

  get<K extends keyof Many>(kind: K, id: string | undefined): Many[K] | undefined {
    return this.#objects.get(`${kind}/${id}`) as Many[K] | undefined;
  }

  ids(kind: keyof Many): string[] {
    return [...this.#objects.keys()].filter((key) => key.startsWith(`${kind}/`)).map((key) => key.slice(kind.length + 1));
  }

  all<K extends keyof Many>(kind: K): Many[K][] {
    return this.ids(kind).map((id) => this.get(kind, id)).filter((one) => one !== undefined);
  }

  /** Hears every change as it comes, outside of what is drawn. Returns what ends it. */
  on(listener: (key: string, value: unknown) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#listen();
    setInterval(() => {
      // A house that runs tells something every 100 ms; a socket that says nothing may be cut without a word.
      if (this.connection === "open" && performance.now() - this.#heardMs > 4 * SILENT_MS) this.#socket?.close();
    }, SILENT_MS);
  }

  #socket: WebSocket | null = null;

  #listen(): void {
    const socket = new WebSocket(socketUrl(`/events${this.#seq === null ? "" : `?last_seq=${this.#seq}`}`));
    this.#socket = socket;
    socket.onopen = () => {
      this.#retryMs = 250;
      this.#heardMs = performance.now();
      this.connection = "open";
      void session.look();
    };
    socket.onmessage = (message: MessageEvent<string>) => {
      this.#heardMs = performance.now();
      this.#take(JSON.parse(message.data) as Envelope);
    };
    socket.onclose = () => void this.#lost();
  }

  async #lost(): Promise<void> {
    if (this.connection === "open") this.connection = "lost";
    if (!(await session.mayLook())) {
      this.connection = "shut"; // the bar says so, and asks who it is
      if (this.one("show")?.lock?.state !== "rolling") void session.open();
      return;
    }
    this.connection = "lost";
    setTimeout(() => this.#listen(), this.#retryMs);
    this.#retryMs = Math.min(2000, this.#retryMs * 2);
  }

  #take(event: Envelope): void {
    this.#seq = event.seq;
    if (event.type === "snapshot") {
      this.#whole = event.data;
      this.#waiting.clear();
    } else if (event.type === "gone") {
      this.#waiting.set(String(event.data.key), undefined);
    } else if (event.type === "change") {
      this.#note(event.data);
    } else {
      const key = event.type in PLURAL ? `${PLURAL[event.type]}/${event.data.id}` : ({ cue: "cues", take: "takes", grade: "look", hand: "hands" } as Record<string, string>)[event.type] ?? event.type;
      this.#waiting.set(key, event.data);
      for (const listener of this.#listeners) listener(key, event.data);
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A hidden page draws no frames; it must not keep what it is told for ever, either.
    if (document.hidden) setTimeout(() => this.#flush(), 500);
    else requestAnimationFrame(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#whole) {
      for (const key of [...this.#objects.keys()]) if (!(key in this.#whole)) this.#objects.delete(key);
      for (const [key, value] of Object.entries(this.#whole)) this.#objects.set(key, value);
      this.#whole = null;
      this.snapshots += 1;
    }
    for (const [key, value] of this.#waiting) {
      if (value === undefined) this.#objects.delete(key);
      else this.#objects.set(key, value);
    }
    this.#waiting.clear();
  }

  #note(data: Record<string, unknown>): void {
    this.changes += 1;
    const changes = data.changes as Record<string, unknown> | undefined;
    const kind = String(data.kind ?? "set");
    const what = Object.keys(changes ?? {});
    const more = what.length > 3 ? ` +${what.length - 3}` : "";
    this.happened(`${data.who ? `${String(data.who)}: ` : ""}${kind === "set" ? "" : `${kind} `}${what.slice(0, 3).join(", ")}${more}`);
  }

  happened(text: string): void {
    if (!text) return;
    this.#happened += 1;
    const timecode = this.one("health")?.timecode ?? "";
    this.log = [{ n: this.#happened, timecode, text }, ...this.log].slice(0, LOG);
  }
}

export const live = new Live();
