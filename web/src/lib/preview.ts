// Live pictures: one at a time, the next asked for when the last is on the screen and its share of time has passed.

import { socketUrl } from "./live.svelte";

export interface Picture {
  url: string;
  blob: Blob;
  frame: number;
}

/** Pulls pictures of `cameras/<id>/photo` or `canvases/<id>`. Returns what ends it. */
export function preview(of: string, widthPx: number, mostHz: number, show: (picture: Picture) => Promise<void> | void): () => void {
  let socket: WebSocket | null = null;
  let closed = false;
  let url: string | null = null;
  let asked = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const next = (): void => {
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (document.hidden) document.addEventListener("visibilitychange", next, { once: true });
    else {
      asked = performance.now();
      socket.send("next");
    }
  };
  const open = (): void => {
    if (closed) return;
    socket = new WebSocket(socketUrl(`/previews?of=${encodeURIComponent(of)}&width_px=${Math.round(widthPx)}`));
    socket.binaryType = "arraybuffer";
    socket.onopen = next;
    socket.onclose = () => {
      if (!closed) timer = setTimeout(open, 1000);
    };
    socket.onmessage = async (message: MessageEvent<ArrayBuffer>) => {
      if (closed) return;
      const tookMs = performance.now() - asked;
      const frame = Number(new DataView(message.data).getBigUint64(0, true));
      const blob = new Blob([new Uint8Array(message.data, 8)], { type: "image/jpeg" });
      const before = url;
      url = URL.createObjectURL(blob);
      await show({ url, blob, frame });
      if (before) URL.revokeObjectURL(before);
      if (closed) {
        URL.revokeObjectURL(url);
        return;
      }
      // A picture that is slow to make costs a machine without a GPU dearly: it gets breath in between.
      timer = setTimeout(next, Math.max(1000 / mostHz - tookMs, tookMs / 2, 0));
    };
  };
  open();
  return () => {
    closed = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", next);
    socket?.close();
    if (url) URL.revokeObjectURL(url);
  };
}
