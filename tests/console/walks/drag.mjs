// Things moved by hand: a card on the 3D wall and on the dome, the sun on its dome, a tile touched on Outputs.

import { api, forget, open, until, walk } from "./_kit.mjs";

const CARD = "dragged";
const DEG = Math.PI / 180;

/** Where on the screen a direction from a point meets the walls, as the page itself finds it. */
const shownAt = (page, eye, pan, tilt) => page.evaluate(([from, way]) => {
  const { left, top, width, height } = window.stageView.canvas.getBoundingClientRect();
  let best = { off: Infinity };
  const look = (x, y) => {
    const found = document.elementFromPoint(x, y) === window.stageView.canvas && window.stageView.pick(x, y);
    if (!found) return;
    const to = found.point.map((v, k) => v - from[k]);
    const off = Math.acos(Math.min(1, to.reduce((sum, v, k) => sum + v * way[k], 0) / Math.hypot(...to))) * (180 / Math.PI);
    if (off < best.off) best = { off, x, y };
  };
  for (let i = 1; i < 48; i++) for (let j = 1; j < 32; j++) look(left + (width * i) / 48, top + (height * j) / 32);
  for (const step of [8, 3, 1]) {
    const { x, y } = best;
    for (let i = -3; i <= 3; i++) for (let j = -3; j <= 3; j++) look(x + i * step, y + j * step);
  }
  return best;
}, [eye, [-Math.sin(pan * DEG) * Math.cos(tilt * DEG), Math.cos(pan * DEG) * Math.cos(tilt * DEG), Math.sin(tilt * DEG)]]);

async function drag(page, from, to) {
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  for (let i = 1; i <= 6; i++) await page.mouse.move(from.x + ((to.x - from.x) * i) / 6, from.y + ((to.y - from.y) * i) / 6);
  await page.mouse.up();
}

const valueOf = async (address) => Number((await api("scenes/plaza/addresses")).values.find((one) => one.address === address).value);

await walk(async (page) => {
  const told = {};
  await open(page, "cards");
  if (CARD in (await api("cards"))) await forget(`cards/${CARD}`);
  await api(`cards/${CARD}`, "PUT", { kind: "light", width_deg: 16, height_deg: 16, nits: 300, pan_deg: 10, tilt_deg: 10 });
  await page.locator("li").getByRole("button", { name: CARD }).click();
  await page.locator("canvas[data-loaded=true]").waitFor();
  for (const [layout, pan, tilt] of [["stage", -14, 16], ["dome", 18, 4]]) {
    await page.locator(`[data-choice=${layout}]`).click();
    const before = await until("the card is seen on a wall", async () => { const one = await api(`cards/${CARD}`); return one.distance_m && one; });
    const eye = before.seen_from_m;
    const [from, to] = [await shownAt(page, eye, before.pan_deg, before.tilt_deg), await shownAt(page, eye, pan, tilt)];
    if (!(from.off < 3 && to.off < 3)) throw new Error(`${layout}: no wall there: ${JSON.stringify([from, to])}`);
    await drag(page, from, to);
    told[layout] = await until(`the card is dragged on the ${layout}`, async () => {
      const now = await api(`cards/${CARD}`);
      return Math.hypot(now.pan_deg - pan, now.tilt_deg - tilt) < 7 && { pan: now.pan_deg, tilt: now.tilt_deg };
    });
  }
  await forget(`cards/${CARD}`);

  await open(page, "scenes");
  const dome = page.getByRole("slider", { name: "Sun on the dome, drag it" });
  await dome.scrollIntoViewIfNeeded();
  // To the right of the stage, a third of the way up. An alarm's bar may come or go meanwhile and move the page.
  told.sun = await until("the sun stands where the hand let it go", async () => {
    const box = await dome.boundingBox();
    const at = (right, down) => ({ x: box.x + box.width * (0.5 + right), y: box.y + box.height * (0.5 + down) });
    await drag(page, at(-0.1, 0.1), at(0.25, 0));
    await page.waitForTimeout(300);
    const [pan, elevation] = [await valueOf("sun/pan_deg"), await valueOf("sun/elevation_deg")];
    return Math.abs(pan + 90) < 8 && elevation > 15 && elevation < 50 && { pan, elevation };
  });
  await api("scenes/plaza", "PATCH", { sun: { pan_deg: null, elevation_deg: null } });

  await open(page, "outputs");
  const picture = page.locator("[data-touch=right]");
  await until("the stage is told", async () => {
    await picture.click({ position: { x: 30, y: 30 } });
    return (await page.locator("#tile-right b").count()) > 0;
  });
  const tile = page.locator("#tile-right b");
  const first = await tile.textContent();
  const size = await picture.boundingBox();
  await picture.click({ position: { x: size.width * 0.4, y: size.height * 0.7 } });
  told.tile = await until("another tile is touched", async () => { const now = await tile.textContent(); return now !== first && now; });
  const names = page.locator("#tile-right button");
  await names.click();
  await until("its name is on the wall", async () => { const map = await api("patterns/cabinet_map"); return map.on && map.targets.includes("right"); });
  await until("and can be taken away", async () => (await names.getAttribute("aria-pressed")) === "true");
  await names.click();
  await until("the names are gone", async () => !(await api("patterns/cabinet_map")).on);
  return told;
}, { gl: true });
