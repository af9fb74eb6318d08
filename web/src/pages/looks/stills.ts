// Stills of looks, drawn by the darkroom beside the show: asked for one after the other, and kept while they hold.

export interface Still {
  url: string;
  /** Whose cameras it is seen by. */
  frame: number;
}
const MOST = 40;
const kept = new Map<string, Promise<Still | null>>();
const waiting: { front: boolean; run: () => Promise<void> }[] = [];
let busy = false;

async function next(): Promise<void> {
  if (busy) return;
  busy = true;
  for (;;) {
    const at = Math.max(0, waiting.findIndex((one) => one.front));
    const [one] = waiting.splice(at, 1);
    if (!one) break;
    await one.run();
  }
  busy = false;
}

async function fetched(path: string): Promise<Still | null> {
  try {
    const answer = await fetch(path);
    return answer.ok ? { url: URL.createObjectURL(await answer.blob()), frame: Number(answer.headers.get("x-frame") ?? 0) } : null;
  } catch {
    return null;
  }
}

/** The still of a look (empty: how it stands) of `cameras/<id>/photo` or `canvases/<id>`; `key` changes when it has to
 * be drawn anew. Null: there is none now.
 * `frame` asks for the cameras of another still; when that is no longer to be had, the newest are taken. */
export function still(look: string, of: string, widthPx: number, key: string, frame = 0, front = false): Promise<Still | null> {
  const name = `${look}|${of}|${widthPx}|${frame}|${key}`;
  const known = kept.get(name);
  if (known) return known;
  const path = `${look ? `/api/v1/looks/${encodeURIComponent(look)}/preview.jpg` : "/api/v1/look/preview.jpg"}?of=${encodeURIComponent(of)}&width_px=${widthPx}`;
  const asked = new Promise<Still | null>((done) => {
    waiting.push({
      front,
      run: async () => done((frame ? await fetched(`${path}&frame=${frame}`) : null) ?? (await fetched(path))),
    });
  });
  kept.set(name, asked);
  void next();
  void asked.then((found) => { if (!found) kept.delete(name); });
  for (const [old, value] of kept) {
    if (kept.size <= MOST) break;
    kept.delete(old);
    void value.then((found) => { if (found) setTimeout(() => URL.revokeObjectURL(found.url), 60_000); });
  }
  return asked;
}
