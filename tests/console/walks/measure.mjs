// How quick the console is, measured: a hand on a slider until its frame is presented, a frame on the wall until its
// picture stands in the page (by the number drawn into it), the first load, and memory over an hour's events.

import { api, open, record, until, values, walk } from "./_kit.mjs";

const wanted = (values[0] ?? "slider,wall,load,memory").split(",");
/** Hours of events a page is told: the one that draws most is told a whole one. */
const HOURS = { stage: 1, timing: 1 / 6, cues: 1 / 6 };
const EVENTS_AN_HOUR = Number(values[1] ?? 0); // 0: as many as the show tells in an hour
const TRIALS = Number(values[2] ?? 30);
const told = {};

const spread = (list) => {
  const sorted = [...list].sort((a, b) => a - b);
  const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] * 10) / 10;
  return { p50: at(0.5), p95: at(0.95), max: at(1), n: sorted.length };
};

/** Milliseconds to add to the page's clock to get CLOCK_MONOTONIC: from the quickest of many questions. */
async function offsetMs(page) {
  let best = { took: Infinity, offset: 0 };
  for (let i = 0; i < 40; i += 1) {
    const before = Number(process.hrtime.bigint()) / 1e6;
    const there = await page.evaluate("performance.timeOrigin + performance.now()");
    const after = Number(process.hrtime.bigint()) / 1e6;
    if (after - before < best.took) best = { took: after - before, offset: (before + after) / 2 - there };
  }
  return best.offset;
}

const presentedMs = (found) => {
  const all = Object.values(found.nodes).map((one) => one.t_presented_ns / 1e6);
  return found.presented && all.length ? Math.max(...all) : null;
};
const newest = async () => (await api("health")).frame;

async function slider(page) {
  await open(page, "scenes");
  const exposure = page.getByRole("slider", { name: "EV", exact: true });
  await exposure.focus();
  await page.evaluate(() => {
    window.pressed = [];
    window.addEventListener("input", (event) => window.pressed.push(performance.timeOrigin + event.timeStamp), { capture: true });
  });
  const offset = await offsetMs(page);
  const took = [];
  for (let i = 0; i < TRIALS; i += 1) {
    await page.waitForTimeout(400 + 37 * (i % 7)); // anywhere in a frame
    const from = await newest();
    const before = (await record(from - 4)).show_version;
    await page.keyboard.press(i % 2 ? "ArrowRight" : "ArrowLeft");
    const pressed = (await page.evaluate("window.pressed.at(-1)")) + offset;
    await until("the frames after it are told", async () => (await newest()) > from + 14);
    for (let frame = from - 3; frame < from + 13; frame += 1) {
      const found = await record(frame).catch(() => null);
      if (!found || found.show_version <= before || presentedMs(found) === null) continue;
      took.push(presentedMs(found) - pressed);
      break;
    }
  }
  await api("show", "PATCH", { exposure_ev: 0 });
  told.slider_to_presented_ms = spread(took);
}

async function wall(page) {
  await api("patterns/frame_count", "PUT", { on: true, targets: [] });
  await open(page, "outputs");
  await page.locator(".live img").nth(1).waitFor();
  const canvas = (await api("canvases")).right;
  const share = 2112 / canvas.width_px; // the wall's right half; the rest is the ceiling
  const offset = await offsetMs(page);
  const shown = await page.evaluate(async ([part, wantedCount]) => {
    const live = [...document.querySelectorAll(".live")].find((one) => one.querySelector("img").alt.includes("right"));
    const image = live.querySelector("img");
    const paper = document.createElement("canvas");
    const pen = paper.getContext("2d", { willReadFrequently: true });
    const read = () => {
      paper.width = image.naturalWidth;
      paper.height = image.naturalHeight;
      pen.drawImage(image, 0, 0);
      const row = Math.round(paper.height * 0.945);
      let number = 0;
      let least = 255;
      let most = 0;
      const light = [];
      for (let bit = 0; bit < 16; bit += 1) {
        const pixel = pen.getImageData(Math.round(((bit + 0.5) / 16) * part * paper.width), row, 1, 1).data;
        light.push(pixel[1]);
        least = Math.min(least, pixel[1]);
        most = Math.max(most, pixel[1]);
      }
      for (const one of light) number = number * 2 + (one > (least + most) / 2 ? 1 : 0);
      return most - least > 40 ? number : -1;
    };
    const found = [];
    await new Promise((done) => {
      const watch = new MutationObserver(() => requestAnimationFrame(() => {
        found.push([read(), performance.timeOrigin + performance.now(), Number(live.dataset.frame)]);
        if (found.length >= wantedCount) { watch.disconnect(); done(); }
      }));
      watch.observe(live, { attributes: true, attributeFilter: ["data-frame"] });
    });
    return found;
  }, [share, TRIALS * 4]);
  await until("their frames are told", async () => (await newest()) > shown.at(-1)[2] + 4);
  const took = [];
  let read = 0;
  for (const [bits, atMs, frame] of shown) {
    if (bits < 0 || Math.abs(frame - bits) % 65536 > 60) continue; // before the test picture was on
    read += 1;
    const found = await record(bits + 65536 * Math.round((frame - bits) / 65536)).catch(() => null);
    const at = found && presentedMs(found);
    if (at) took.push(atMs + offset - at);
  }
  await api("patterns", "DELETE");
  if (read < TRIALS) throw new Error(`only ${read} of ${shown.length} pictures could be read: ${JSON.stringify(shown.slice(0, 5))}`);
  told.wall_to_page_ms = spread(took);
}

async function load(page, context) {
  const fresh = await context.newPage();
  const wire = await context.newCDPSession(fresh);
  await wire.send("Network.enable");
  await wire.send("Network.setCacheDisabled", { cacheDisabled: true });
  let bytes = 0;
  wire.on("Network.loadingFinished", (event) => { bytes += event.encodedDataLength; });
  const began = performance.now();
  await fresh.goto((await import("./_kit.mjs")).url);
  await fresh.locator("main[data-page=stage] > *").first().waitFor();
  await fresh.locator("#state.good, #state.warn").waitFor();
  const seen = performance.now() - began;
  await fresh.locator("canvas[data-loaded=true]").waitFor();
  told.first_load = { ms: Math.round(seen), walls_ms: Math.round(performance.now() - began), zipped_bytes: bytes };
  await fresh.close();
}

/** The events of the show as it runs, heard for a while and then told to the page again as fast as it takes them. */
async function memory(page, context) {
  await page.addInitScript(() => {
    const Real = window.WebSocket;
    window.heard = [];
    window.WebSocket = class extends Real {
      constructor(...given) {
        super(...given);
        if (String(given[0]).includes("/events")) {
          window.events = this;
          this.addEventListener("message", (event) => { if (window.hearing) window.heard.push(event.data); });
        }
      }
    };
  });
  told.memory = {};
  for (const [name, hours] of Object.entries(HOURS)) {
    await page.goto("about:blank");
    await open(page, name);
    const wire = await context.newCDPSession(page);
    const heap = async () => {
      await wire.send("HeapProfiler.collectGarbage");
      await wire.send("HeapProfiler.collectGarbage");
      const { usedSize } = await wire.send("Runtime.getHeapUsage");
      const { nodes, jsEventListeners } = await wire.send("Memory.getDOMCounters");
      return { mb: Math.round(usedSize / 1e4) / 100, nodes, listeners: jsEventListeners };
    };
    const heardS = 6;
    await page.evaluate("window.hearing = true; 0");
    await page.waitForTimeout(heardS * 1000);
    const count = await page.evaluate("window.hearing = false, window.heard.length");
    const most = Math.round(hours * (EVENTS_AN_HOUR || (count / heardS) * 3600));
    const steps = [];
    for (let part = 0; part < 6; part += 1) {
      const n = Math.round(most / 6);
      await page.evaluate(async (times) => {
        const frame = () => new Promise((done) => requestAnimationFrame(done));
        for (let at = 0; at < times; at += 1) {
          const told = JSON.parse(window.heard[at % window.heard.length]);
          if (told.type === "snapshot") continue;
          // Nothing may be the same object twice: every event is a new text.
          window.events.onmessage({ data: JSON.stringify({ ...told, t_ns: told.t_ns + at }) });
          if (at % 200 === 199) await frame();
        }
        await frame();
      }, n);
      steps.push(await heap());
    }
    // The first sixth warms caches and compiled code.
    const grown = steps.at(-1).mb / steps[0].mb - 1;
    told.memory[name] = { hours: Math.round(hours * 100) / 100, events: most, mb: steps.map((one) => one.mb), nodes: [steps[0].nodes, steps.at(-1).nodes], grown: Math.round(grown * 1000) / 1000 };
    await wire.detach();
  }
}

await walk(async (page, context) => {
  if (wanted.includes("load")) await load(page, context);
  if (wanted.includes("slider")) await slider(page);
  if (wanted.includes("wall")) await wall(page);
  if (wanted.includes("memory")) await memory(page, context);
  return told;
}, { gl: wanted.includes("load") || wanted.includes("memory") });
