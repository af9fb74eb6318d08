// Scenes, cues and the director's monitor, each change seen in the show itself.

import { accessibility, api, open, until, walk } from "./_kit.mjs";

await walk(async (page) => {
  const faults = {};
  await open(page, "scenes");
  await page.locator("[data-scene=dusk]").click();
  await page.locator("[data-choice=cut]").click();
  await page.keyboard.press("Escape");
  await page.locator("main").click({ position: { x: 4, y: 4 } });
  await page.keyboard.press(" ");
  await until("the scene is cut to", async () => (await api("show")).scene === "dusk");
  await page.locator("[data-scene=dusk].air").waitFor();
  const sun = page.getByRole("slider", { name: /Sun on the dome/ });
  const before = (await api("scenes/dusk/addresses")).values.find((one) => one.address === "sun/elevation_deg").value;
  await sun.focus();
  await page.keyboard.press("ArrowDown");
  await until("the sun sinks", async () => (await api("scenes/dusk/addresses")).values.find((one) => one.address === "sun/elevation_deg").value === before - 1);
  await page.locator("#undo").click();
  await until("it rises again", async () => (await api("scenes/dusk/addresses")).values.find((one) => one.address === "sun/elevation_deg").value === before);
  await page.locator("[data-scene=plaza]").click();
  await page.locator("#take").click();
  await until("the first scene is back", async () => (await api("show")).scene === "plaza");
  faults.scenes = await accessibility(page);

  await open(page, "cues");
  await page.locator("#new-cue").click();
  await page.locator("#cue-label").fill("To dusk");
  await page.locator("#cue-take").click();
  const lines = page.locator("#cue-sheet .line");
  await until("two lines at least", async () => (await lines.count()) >= 2);
  await lines.filter({ has: page.locator("input") }).nth(1).locator("input").nth(1).fill("-1.5");
  await page.locator("#cue-save").click();
  const [cue] = await until("the cue is there", async () => { const { cues } = await api("cues"); return cues.length && cues; });
  if (cue.label !== "To dusk" || cue.changes.exposure_ev !== -1.5) throw new Error(JSON.stringify(cue));
  await page.locator(`[data-cue=${cue.id}].next`).waitFor();
  await page.getByText("exposure_ev", { exact: true }).waitFor();
  await page.keyboard.press(" ");
  await until("GO", async () => (await api("show")).exposure_ev === -1.5);
  await page.locator(`[data-cue=${cue.id}].current`).waitFor();
  await page.keyboard.press("Backspace");
  await until("BACK", async () => (await api("show")).exposure_ev === 0);
  faults.cues = await accessibility(page);
  await api(`cues/${cue.id}`, "DELETE");

  await page.goto(page.url().replace(/#.*/, "#/director"));
  const exposure = page.getByRole("slider", { name: "Exposure" }).first();
  await exposure.focus();
  await page.keyboard.press("ArrowLeft");
  await until("the director darkens", async () => (await api("show")).exposure_ev < 0);
  await page.getByRole("button", { name: "Safe areas" }).click();
  await page.locator(".safe").first().waitFor();
  await page.locator("canvas[data-frame]:not([data-frame=''])").waitFor();
  await page.getByRole("button", { name: "Waveform" }).click();
  faults.director = await accessibility(page);
  await api("show", "PATCH", { exposure_ev: 0 });
  await page.getByRole("link", { name: "Leave" }).click();
  await page.locator("#state").waitFor();
  return { faults };
});
