// The first page: live state by WebSocket, pictures by pull, changes by HTTP. No build, no library.

import { $, API, draw, element, number, pressed, tell, text } from "/console/tools.js";
import { askWho, mayLook, renderLock } from "/console/access.js";

const socketUrl = (path) => `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${API}${path}`;

const objects = new Map();   // newest state of every object, by key
let camera = null;           // id of the camera that is looked at
let touching = 0;            // a slider under the hand is not moved by events

async function call(method, path, body) {
  try {
    const answer = await fetch(API + path, {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (answer.ok) return await answer.json();
    const wrong = await answer.json();
    if (answer.status === 401) {
      askWho("Nothing was changed: say who you are, then do it again.");
      return null;
    }
    tell(wrong.mend ? `${wrong.detail}. ${wrong.mend}` : wrong.detail);
  } catch {
    tell("The service does not answer; nothing was changed.");
  }
  return null;
}

// A slider sends its newest value when the last one has been answered: never a queue.
function latest(send) {
  let waiting = null;
  let busy = false;
  return async (value) => {
    waiting = { value };
    if (busy) return;
    busy = true;
    while (waiting) {
      const now = waiting.value;
      waiting = null;
      await send(now);
    }
    busy = false;
  };
}

// --- events -------------------------------------------------------------------------------------------------

let lastSeq = null;
let retryMs = 250;

function listen() {
  const socket = new WebSocket(socketUrl(`/events${lastSeq === null ? "" : `?last_seq=${lastSeq}`}`));
  socket.onopen = () => { retryMs = 250; $("lost").hidden = true; };
  socket.onmessage = (message) => {
    const event = JSON.parse(message.data);
    lastSeq = event.seq;
    if (event.type === "snapshot") {
      objects.clear();
      for (const [key, value] of Object.entries(event.data)) objects.set(key, value);
    } else if (event.type !== "change") {
      objects.set(keyOf(event), event.data);
    }
    schedule();
  };
  socket.onclose = async () => {
    if (!await mayLook()) {
      text($("state"), "log in");
      $("state").className = "pill ask";
      return;
    }
    $("lost").hidden = false;
    text($("state"), "no connection");
    $("state").className = "pill bad";
    setTimeout(listen, retryMs);
    retryMs = Math.min(2000, retryMs * 2);
  };
}

const PLURAL = { camera: "cameras", source: "sources", canvas: "canvases", scene: "scenes", position: "positions", pattern: "patterns" };
const keyOf = (event) => event.type in PLURAL ? `${PLURAL[event.type]}/${event.data.id}` : event.type;
const all = (kind) => [...objects].filter(([key]) => key.startsWith(`${kind}/`)).map(([, value]) => value);

let scheduled = false;
function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => { scheduled = false; render(); });
}

// --- pictures -----------------------------------------------------------------------------------------------

// One picture at a time: `next` is sent when the last one is on the screen and its share of time has passed.
function preview(of, widthPx, mostHz, show) {
  let socket = null;
  let closed = false;
  let url = null;
  let asked = 0;
  const next = () => {
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (document.hidden) document.addEventListener("visibilitychange", next, { once: true });
    else { asked = performance.now(); socket.send("next"); }
  };
  const open = () => {
    if (closed) return;
    socket = new WebSocket(socketUrl(`/previews?of=${encodeURIComponent(of)}&width_px=${widthPx}`));
    socket.binaryType = "arraybuffer";
    socket.onopen = next;
    socket.onclose = () => { if (!closed) setTimeout(open, 1000); };
    socket.onmessage = async (message) => {
      const tookMs = performance.now() - asked;
      const frame = Number(new DataView(message.data).getBigUint64(0, true));
      const before = url;
      url = URL.createObjectURL(new Blob([new Uint8Array(message.data, 8)], { type: "image/jpeg" }));
      await show(url, frame);
      if (before) URL.revokeObjectURL(before);
      // A picture that is slow to make costs a machine without a GPU dearly: it gets breath in between.
      setTimeout(next, Math.max(1000 / mostHz - tookMs, tookMs / 2));
    };
  };
  open();
  return () => { closed = true; socket?.close(); };
}

async function put(image, url) {
  image.src = url;
  try { await image.decode(); } catch { /* a newer picture took its place */ }
  image.hidden = false;
}

let stopPhoto = () => {};
let photoTimes = [];
function choose(id) {
  if (id === camera) return;
  camera = id;
  stopPhoto();
  photoTimes = [];
  $("photo").hidden = true;
  $("photo-wait").hidden = false;
  stopPhoto = preview(`cameras/${id}/photo`, 960, 12, async (url, frame) => {
    await put($("photo"), url);
    $("photo-wait").hidden = true;
    text($("photo-frame"), `frame ${frame}`);
    const now = performance.now();
    photoTimes = [...photoTimes.filter((time) => now - time < 4000), now];
    const hz = photoTimes.length > 1 ? (photoTimes.length - 1) * 1000 / (now - photoTimes[0]) : 0;
    text($("photo-rate"), hz ? `${hz.toFixed(1)} photos a second` : "");
  });
  schedule();
}

const canvasStops = new Map();
function renderCanvases() {
  const canvases = all("canvases");
  draw($("canvases"), canvases.map((canvas) => canvas.id).join(), () => {
    for (const stop of canvasStops.values()) stop();
    canvasStops.clear();
    return canvases.map((canvas) => {
      const image = element("img", { alt: `Canvas ${canvas.id}`, hidden: true });
      canvasStops.set(canvas.id, preview(`canvases/${canvas.id}`, 640, 6, (url) => put(image, url)));
      const told = element("div", { class: "told" }, element("span", {}, canvas.id), element("span", { id: `canvas-${canvas.id}` }));
      return element("div", { class: "canvas" }, element("div", { class: "frame" }, image), told);
    });
  });
  for (const canvas of canvases) {
    const late = canvas.reason && canvas.reason !== "none" ? ` · repeats: ${canvas.reason}` : "";
    const light = `${canvas.encoding.transfer} ${canvas.encoding.bits} bit`;
    text($(`canvas-${canvas.id}`), `${canvas.width_px} × ${canvas.height_px} · ${light} · frame ${canvas.frame ?? "–"}${late}`);
  }
}

// --- the rest of the page -----------------------------------------------------------------------------------

const HEALTH = { ok: ["running", "ok"], degraded: ["needs attention", "ask"], down: ["no pictures", "bad"] };
const ORDERED = {
  hold: "HOLD: every wall keeps the picture that stands.",
  safe: "SAFE PICTURE is on every wall.",
  work: "WORK LIGHT is on every wall.",
  black: "BLACK: every wall is dark.",
};

function renderHead() {
  const health = objects.get("health");
  const action = objects.get("action");
  if (health) {
    const [word, tone] = HEALTH[health.status];
    text($("state"), word);
    $("state").className = `pill ${tone}`;
    text($("name"), health.name);
    text($("timecode"), health.timecode || "--:--:--:--");
    const time = health.reference === "free" ? "" : ` · ${health.reference} ${health.clock.replace("_", " ")}`;
    text($("rate"), `${Number(ratio(health.rate)).toFixed(3).replace(/\.?0+$/, "")} fps${time}`);
    document.title = `${health.name} · OpenVolume`;
  }
  if (action) {
    for (const button of $("actions").children) pressed(button, button.dataset.action === action.action);
    const obeyed = Object.values(action.nodes).every((name) => name === action.action);
    $("ordered").hidden = action.action === "none";
    text($("ordered"), (ORDERED[action.action] ?? "") + (obeyed ? "" : " Not every node obeys yet."));
  }
}

const TIME = { free: "running", locked: "running", slewing: "running", step_refused: "failed" };
const clockLine = (clock) => [
  { free: "free running", system: "follows the system clock", timecode: "follows time code" }[clock.reference],
  clock.state === "free" ? "" : `${number(clock.error_us, 1)} µs off`,
  clock.slew_ppm ? `${number(clock.slew_ppm, 1)} ppm` : "",
  clock.holdover_s ? `alone for ${number(clock.holdover_s, 0)} s` : "",
  clock.ptp ? `PTP ${clock.ptp.toLowerCase()}` : "", clock.fault,
].filter(Boolean).join(" · ");
const ratio = (rate) => { const [num, den] = String(rate).split("/"); return num / (den ?? 1); };

function renderAlarms() {
  const alarms = (objects.get("alarms")?.alarms ?? []).filter((alarm) => alarm.severity !== "info");
  draw($("alarms"), JSON.stringify(alarms), () => alarms.map((alarm) => element("div", { class: `alarm ${alarm.severity}` },
    element("b", {}, alarm.path), element("span", {}, alarm.detail),
    alarm.mend ? element("span", { class: "mend" }, alarm.mend) : "")));
}

const PARTS = [
  ["receive_to_latch", "wait for the latch"],
  ["latch_to_plan", "plan"],
  ["plan_to_draw", "hand-over"],
  ["draw", "draw"],
  [null, "wait for the slot"],
];

function renderLatency() {
  const frames = objects.get("frames");
  if (!frames) return;
  const whole = frames.latency_ms.receive_to_present;
  text($("latency"), whole.max ? number(whole.p50, 0) : "–");
  draw($("percentiles"), JSON.stringify(whole), () => ["p95", "p99", "max"].map((name) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, number(whole[name], 1)))));
  const late = Object.entries(frames.repeats).map(([reason, count]) => `${count} ${reason.replace("_", " ")}`).join(", ");
  text($("frames"), `${frames.frames} slots: ${frames.presented} shown, ${frames.repeated} repeated${late ? ` (${late})` : ""}.`);

  const course = frames.course_ms.receive_to_present;
  const periodMs = 1000 / ratio(frames.rate);
  // A single spike must not flatten the rest: it is cut at the top, and `max` tells it.
  const ranked = [...course].sort((a, b) => a - b);
  const top = Math.max(periodMs * 1.5, 1.3 * (ranked[Math.floor(ranked.length * 0.95)] ?? 0));
  const height = (ms) => Math.max(1, 56 - 56 * ms / top);
  const points = course.map((ms, i) => `${(240 - course.length + i + 0.5).toFixed(1)} ${height(ms).toFixed(1)}`);
  const frameLine = `<line x1="0" x2="240" y1="${height(periodMs)}" y2="${height(periodMs)}"/>`;
  $("course").innerHTML = frameLine + (points.length > 1
    ? `<path class="area" d="M${240 - course.length + 0.5} 56L${points.join("L")}L240 56Z"/><path d="M${points.join("L")}"/>` : "");

  const known = PARTS.slice(0, 4).map(([name]) => frames.latency_ms[name].p50);
  const parts = [...known, Math.max(0, whole.p50 - known.reduce((a, b) => a + b, 0))];
  const total = parts.reduce((a, b) => a + b, 0) || 1;
  draw($("budget"), parts.map((ms) => ms.toFixed(1)).join(), () => parts.map((ms, i) => {
    const bar = element("i", { class: `part-${i}`, title: `${PARTS[i][1]} ${ms.toFixed(1)} ms` });
    bar.style.width = `${100 * ms / total}%`;
    return bar;
  }));
  draw($("budget-legend"), parts.map((ms) => ms.toFixed(1)).join(), () => parts.map((ms, i) =>
    element("li", {}, element("i", { class: `part-${i}` }), `${PARTS[i][1]} ${ms.toFixed(1)}`)));
}

const TONE = { ok: "ok", coasting: "ask", waiting: "ask", lost: "bad", bad: "bad" };

function renderCamera() {
  const cameras = all("cameras");
  if (!cameras.length) return;
  if (!cameras.some((one) => one.id === camera)) choose(cameras[0].id);
  draw($("cameras"), JSON.stringify([cameras.map((one) => [one.id, one.label]), camera]), () => cameras.length < 2 ? [] : cameras.map((one) =>
    element("button", { role: "tab", "aria-selected": String(one.id === camera), onclick: () => choose(one.id) }, one.label || one.id)));
  const now = objects.get(`cameras/${camera}`);
  if (!now) return;
  const source = objects.get(`sources/${now.source}`);
  text($("camera-label"), now.label || now.id);
  text($("camera-state"), now.state === "ok" ? `tracked by ${now.source}` : now.quality === "untracked" ? "not tracked" : now.state);
  $("camera-state").className = `pill small ${TONE[now.state] ?? ""}`;
  const pairs = [
    ["x", `${number(now.position_m[0], 3)} m`], ["y", `${number(now.position_m[1], 3)} m`], ["z", `${number(now.position_m[2], 3)} m`],
    ["pan", `${number(now.pan_deg, 2)}°`], ["tilt", `${number(now.tilt_deg, 2)}°`], ["roll", `${number(now.roll_deg, 2)}°`],
    ["lens", `${number(now.lens.focal_length_mm, 1)} mm`], ["tracking", source ? `${number(source.rate_hz, 0)} Hz` : "–"],
    ["predicted", now.age_ms == null ? "–" : `${number(now.age_ms, 0)} ms`],
  ];
  draw($("pose"), JSON.stringify(pairs), () => pairs.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  for (const button of $("overscan-mode").children) pressed(button, button.dataset.mode === now.overscan_mode);
  if (!touching) {
    $("overscan").value = Math.max(...now.overscan_deg);
    $("soft-edge").value = now.soft_edge_deg;
  }
  text($("overscan-value"), `${number(Number($("overscan").value), 1)}°`);
  text($("soft-edge-value"), `${number(Number($("soft-edge").value), 2)}°`);
  const [left, right, top, bottom] = now.overscan_now_deg;
  const causes = Object.entries(now.overscan_causes_deg).map(([name, deg]) => `${name} ${number(deg, 1)}`).join(", ");
  text($("causes"), `Now ${number(left, 1)}° left, ${number(right, 1)}° right, ${number(top, 1)}° up, ${number(bottom, 1)}° down: ${number(now.overscan_cost_percent, 0)} % more pixels${causes ? ` (${causes})` : ""}.`);
}

function choices(node, items, pick) {
  draw(node, JSON.stringify(items.map((item) => [item.id, item.label, item.on])), () => items.map((item) =>
    element("button", { "aria-pressed": String(item.on), onclick: () => pick(item) }, item.label)));
}

const PATTERN = { inner_grid: "Inner grid", eye_card: "Eye card", tile_outlines: "Tile outlines", alignment_grid: "Alignment grid", ramp: "Ramp",
  cabinet_map: "Cabinet map", frame_count: "Frame count", moving_bars: "Moving bars", bit_depth: "Bit depth", range: "Range",
  nit_steps: "Nit steps", checker: "Checker" };

function renderShow() {
  choices($("scenes"), all("scenes").map((one) => ({ id: one.id, label: one.label || one.id, on: one.active })),
    (one) => call("POST", `/scenes/${one.id}/activate`));
  const positions = all("positions");
  choices($("positions"), positions.length < 2 ? [] : positions.map((one) => ({ id: one.id, label: one.label || one.id, on: one.active })),
    (one) => call("POST", `/positions/${one.id}/activate`));
  choices($("patterns"), all("patterns").map((one) => ({ id: one.id, label: PATTERN[one.id] ?? one.id, on: one.on })),
    (one) => call("PUT", `/patterns/${one.id}`, { on: !one.on }));
  const source = sourceOfCamera();
  for (const button of document.querySelectorAll("#steps button, #zero, #undo-nudge")) button.disabled = !source;
  const nudge = source?.nudge;
  text($("nudge"), nudge ? `${source.id}: ${["x_m", "y_m", "z_m"].map((k) => (nudge[k] * 1000).toFixed(0)).join(" / ")} mm, `
    + `${["pan_deg", "tilt_deg", "roll_deg"].map((k) => nudge[k].toFixed(2)).join(" / ")}°` : "nothing tracks this camera");
}

const sourceOfCamera = () => objects.get(`sources/${objects.get(`cameras/${camera}`)?.source}`)
  ?? all("sources").find((source) => source.camera === camera);

function renderProcesses() {
  const nodes = objects.get("nodes");
  if (!nodes) return;
  const rows = [];
  const alive = (state) => state === "running" || state === "ready" ? "ok" : state === "gone" || state === "stale" || state === "failed" ? "bad" : "ask";
  const rights = (one) => one.rt_class ? `real time ${one.rt_class}` : "normal priority";
  if (nodes.conductor) rows.push(["conductor", nodes.conductor.state, `${rights(nodes.conductor)} · lead ${number(nodes.conductor.lead_ms, 1)} ms`]);
  const clock = objects.get("frames")?.clock;
  if (clock) rows.push(["time", TIME[clock.state] ?? clock.state, clockLine(clock)]);
  for (const node of nodes.nodes) rows.push([`node ${node.id}`, node.state, `${rights(node)} · ${node.renderer}`]);
  if (nodes.darkroom) rows.push(["darkroom", nodes.darkroom.state, `${number(nodes.darkroom.draw_ms.p50, 0)} ms a photo`]);
  const restarts = Object.entries(nodes.processes).filter(([, child]) => child.restarts).map(([name, child]) => `${name} ${child.restarts}×`).join(", ");
  draw($("processes"), JSON.stringify([rows, restarts]), () => [
    ...rows.map(([name, state, more]) => element("li", {}, element("i", { class: alive(state), title: state }), element("span", {}, name),
      element("span", {}, alive(state) === "ok" ? more : `${state} · ${more}`))),
    ...(restarts ? [element("li", {}, element("i", { class: "ask" }), element("span", {}, "restarted"), element("span", {}, restarts))] : []),
  ]);
}

function render() {
  renderHead();
  renderLock(objects.get("show")?.lock);
  renderAlarms();
  renderLatency();
  renderCamera();
  renderCanvases();
  renderShow();
  renderProcesses();
}

// --- hands --------------------------------------------------------------------------------------------------

const order = (action) => call("POST", `/actions/${action}`);
for (const button of $("actions").children) button.addEventListener("click", () => order(button.dataset.action));
const KEYS = { b: "black", h: "hold", s: "safe", w: "work", escape: "none" };
addEventListener("keydown", (event) => {
  const action = KEYS[event.key.toLowerCase()];
  if (document.querySelector("dialog[open]")) return;  // Escape closes it, and gives no order
  if (!action || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof HTMLInputElement && event.target.type !== "range") return;
  event.preventDefault();
  order(action);
});

for (const button of $("overscan-mode").children) {
  button.addEventListener("click", () => call("PATCH", `/cameras/${camera}`, { overscan_mode: button.dataset.mode }));
}
for (const [id, field] of [["overscan", "overscan_deg"], ["soft-edge", "soft_edge_deg"]]) {
  const send = latest((value) => call("PATCH", `/cameras/${camera}`, { [field]: value }));
  $(id).addEventListener("input", () => { text($(`${id}-value`), `${number(Number($(id).value), field === "overscan_deg" ? 1 : 2)}°`); send(Number($(id).value)); });
  $(id).addEventListener("pointerdown", () => { touching += 1; });
  for (const end of ["pointerup", "pointercancel"]) $(id).addEventListener(end, () => { touching = Math.max(0, touching - 1); });
}

const STEPS = [["x_m", 0.001, "x", "1 mm"], ["y_m", 0.001, "y", "1 mm"], ["z_m", 0.001, "z", "1 mm"],
  ["pan_deg", 0.01, "pan", "0.01°"], ["tilt_deg", 0.01, "tilt", "0.01°"], ["roll_deg", 0.01, "roll", "0.01°"]];
$("steps").append(...STEPS.map(([field, step, name, told]) => {
  // With Shift a step is ten.
  const go = (sign) => (event) => {
    const source = sourceOfCamera();
    if (source) call("POST", `/sources/${source.id}/nudge`, { [field]: sign * step * (event.shiftKey ? 10 : 1) });
  };
  return element("div", {},
    element("button", { "aria-label": `${name} down by ${told}`, onclick: go(-1) }, "−"),
    element("span", {}, name, element("small", {}, told)),
    element("button", { "aria-label": `${name} up by ${told}`, onclick: go(1) }, "+"));
}));
$("zero").addEventListener("click", () => { const source = sourceOfCamera(); if (source) call("POST", `/sources/${source.id}/zero`); });
$("undo-nudge").addEventListener("click", () => { const source = sourceOfCamera(); if (source) call("POST", `/sources/${source.id}/undo`); });
$("undo").addEventListener("click", () => call("POST", "/undo"));

listen();
