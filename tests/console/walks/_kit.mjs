// What every walk stands on: a real Chromium, the console's page, and steps that say what they wait for.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import net from "node:net";

const require = createRequire(`${process.env.NODE_MODULES}/`);
const { chromium } = require("playwright-core");

export const url = process.argv[2];
export const values = process.argv.slice(3);
const axe = require.resolve("axe-core/axe.min.js");

/** A show, a browser and other tests may share two cores: only hanging for ever is a failure. */
const WAIT_MS = 90_000;
const FLAGS = [
  "--no-sandbox", "--disable-dev-shm-usage", "--mute-audio", "--disable-background-networking", "--disable-component-update",
];
/** For pages that draw the stage: WebGL without a GPU. */
const GL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"];

/** Opens a browser for `walk(page, context)`, then prints what it returns as JSON. Faults of the page fail the walk. */
export async function walk(go, { width = 1440, height = 900, locale = "en-GB", touch = false, gl = false } = {}) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: [...FLAGS, ...(gl ? GL : ["--disable-gpu"])] });
  const faults = [];
  try {
    const context = await browser.newContext({ viewport: { width, height }, locale, hasTouch: touch, reducedMotion: "reduce" });
    context.setDefaultTimeout(WAIT_MS);
    const page = await context.newPage();
    page.on("pageerror", (error) => faults.push(`${error.message}\n${error.stack}`));
    page.on("console", (message) => {
      if (message.type() === "error" && !/Failed to load resource|WebSocket connection/.test(message.text())) faults.push(message.text());
    });
    const told = await go(page, context);
    if (faults.length) throw new Error(`the page complains:\n${faults.join("\n")}`);
    console.log(JSON.stringify(told ?? {}));
  } catch (error) {
    console.error(faults.join("\n"));
    throw error;
  } finally {
    await browser.close();
  }
}

/** Waits until a check holds; the check runs here, not in the page. */
export async function until(what, check, timeoutMs = WAIT_MS) {
  const end = Date.now() + timeoutMs;
  let last;
  for (;;) {
    try {
      const found = await check();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: never${last ? `\n${last}` : ""}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

export async function api(path, method = "GET", body = undefined, headers = {}) {
  const answer = await fetch(`${url}api/v1/${path}`, {
    method, headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(found)}`);
  return found;
}

/** Deletes an object as it stands. */
export const forget = async (path) => api(path, "DELETE", undefined, { "if-match": `"${(await api(path)).rev}"` });

/** One slot of the ledger. */
export const record = (frame) => api(`frames/${frame}`);

/** The service through a wire that can be cut. */
export async function wire() {
  const to = new URL(url);
  const sockets = new Set();
  let whole = true;
  const server = net.createServer((near) => {
    if (!whole) return void near.destroy();
    const far = net.connect(Number(to.port), to.hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on("error", () => other.destroy()).on("close", () => { sockets.delete(one); other.destroy(); }).pipe(other);
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    cut: () => { whole = false; for (const socket of sockets) socket.destroy(); },
    mend: () => { whole = true; },
    close: () => { for (const socket of sockets) socket.destroy(); server.close(); },
  };
}

export async function open(page, name, at = url) {
  await page.goto(`${at}#/${name}`);
  await page.locator(`main[data-page=${name}] > *`).first().waitFor();
  await until("the show is told", () => page.locator("#state.good, #state.warn").count());
}

/** Serious faults of accessibility on the page as it is now. */
export async function accessibility(page) {
  // The page's security policy lets no script tag in; the browser's own hand may.
  if (!(await page.evaluate("!!window.axe"))) await page.evaluate(`${readFileSync(axe, "utf8")}; 0`);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id}: ${one.nodes.slice(0, 4).map((node) => `${node.target} ${node.failureSummary}`).join(" | ")}`);
}
