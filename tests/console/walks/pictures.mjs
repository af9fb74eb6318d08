// Every page on a desk, a tablet and a phone, in both languages: nothing overflows, no serious fault; a picture of each.

import { mkdirSync } from "node:fs";
import { accessibility, api, open, until, values, walk } from "./_kit.mjs";

const [folder, only = "", sizes = ""] = values;
const SIZES = { desk: [1440, 900], tablet: [1024, 768], phone: [390, 844] };

await walk(async (page) => {
  mkdirSync(folder, { recursive: true });
  const told = { pages: [], faults: {}, wide: [] };
  const found = await api("cues");
  const mine = [];
  if (!found.cues.length) {
    for (const [number, label, seconds, exposure] of [["1", "House to half", 0, -0.5], ["2", "Sun goes down", 8, -1.2], ["3", "Dusk", 4, -2], ["4", "Night", 6, -3]]) {
      mine.push(`picture_${number}`);
      await api(`cues/picture_${number}`, "PUT", { number, label, seconds, changes: { exposure_ev: exposure }, notes: number === "2" ? "as Anna turns to the gate" : "" });
    }
    await api("cues/go", "POST");
  }
  await open(page, "cues");
  const pages = await page.locator("nav [data-page]").evaluateAll((all) => all.map((one) => one.dataset.page));
  for (const [size, [width, height]] of Object.entries(SIZES)) {
    if (sizes && !sizes.split(",").includes(size)) continue;
    await page.setViewportSize({ width, height });
    for (const language of size === "tablet" ? ["en"] : ["en", "zh"]) {
      await page.evaluate((code) => localStorage.setItem("openvolume.language", code), language);
      await page.goto("about:blank");
      await open(page, "cues");
      for (const name of pages) {
        if (only && !only.split(",").includes(name)) continue;
        await page.evaluate((to) => { location.hash = `#/${to}`; }, name);
        await page.locator(`main[data-page=${name}] > *`).first().waitFor();
        if (name === "stage") {
          await page.locator("canvas[data-loaded=true]").waitFor();
          const drawn = await page.evaluate("window.stageView.frames");
          await until("the walls are drawn", async () => (await page.evaluate("window.stageView.frames")) > drawn + 12);
        }
        const pictured = page.locator("main .live, main canvas[data-frame]");
        if (await pictured.count()) await page.locator("main .live[data-frame]:not([data-frame='']), main canvas[data-frame]:not([data-frame=''])").first().waitFor({ timeout: 15_000 }).catch(() => {});
        if (name === "timing") {
          await page.locator(".bar").nth(20).click().catch(() => {});
          await page.locator("#why li").first().waitFor().catch(() => {});
        }
        await page.waitForTimeout(600);
        const over = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        if (over > 0) told.wide.push(`${name} ${size} ${language}: ${over} px`);
        if (language === "en" && size !== "tablet") {
          const faults = await accessibility(page);
          if (faults.length) told.faults[`${name} ${size}`] = faults;
        }
        await page.screenshot({ type: "jpeg", quality: 84, path: `${folder}/${name}-${size}${language === "zh" ? "-zh" : ""}.jpg` });
        told.pages.push(`${name}-${size}-${language}`);
      }
    }
  }
  for (const cue of mine) await api(`cues/${cue}`, "DELETE");
  return told;
}, { gl: true });
