// Looks: graded by hand, stored, held against each other, flipped, taken back; each change seen in the show itself.

import { accessibility, api, open, until, walk } from "./_kit.mjs";

const layer = async (name) => (await api("look")).layers[name];

await walk(async (page) => {
  await open(page, "looks");
  const aside = () => page.locator("main").click({ position: { x: 4, y: 4 } });
  const exposure = page.getByRole("slider", { name: "Exposure" }).first();
  await exposure.focus();
  await page.keyboard.press("ArrowRight");
  await until("the outer picture is graded", async () => (await layer("outer")).exposure_ev > 0);
  await page.locator("#store").click();
  await page.locator("[data-look=look_1]").waitFor();
  await page.locator("#look-label").fill("Bright");
  await page.keyboard.press("Enter");
  await until("it has its name", async () => (await api("looks/look_1")).label === "Bright");

  await aside();
  await page.keyboard.press("g");
  await page.locator("[data-layer=inner][aria-pressed=true]").waitFor();
  await page.getByRole("slider", { name: "Warm – cool" }).first().focus();
  await page.keyboard.press("ArrowLeft");
  await until("the inner picture is warmer", async () => (await layer("inner")).temperature_k < 6000);
  await page.locator('[data-wheel="look/inner/gain"]').focus();
  await page.keyboard.press("ArrowUp");
  await until("and redder", async () => (await layer("inner")).gain[0] > 1);
  await page.getByRole("button", { name: "Paste" }).click();
  await page.locator("#cdl-text").fill("<ColorCorrection><SOPNode><Slope>1.1 1 0.9</Slope><Offset>0 0 0</Offset><Power>1 1 1</Power></SOPNode></ColorCorrection>");
  await page.locator("#cdl-use").click();
  await until("the CDL is read", async () => (await layer("inner")).cdl_slope[0] === 1.1);
  await page.locator("#undo").click();
  await until("and taken back alone", async () => { const one = await layer("inner"); return one.cdl_slope[0] === 1 && one.gain[0] > 1; });
  await aside();
  await page.keyboard.press("n");
  await page.locator("[data-look=look_2]").waitFor();

  await page.locator("[data-side=a]").selectOption("look_1");
  await page.locator("[data-side=b]").selectOption("look_2");
  await page.locator('#differs [data-address="look/inner/temperature_k"]').waitFor();
  await aside();
  await page.keyboard.press("x");
  await until("flipped to A", async () => (await api("looks")).look === "look_1" && (await layer("inner")).temperature_k === 6000);
  await page.locator("#flip").click();
  await until("and to B", async () => (await api("looks")).look === "look_2" && (await layer("inner")).temperature_k < 6000);
  const faults = await accessibility(page);

  await api("lock", "PUT", { state: "rolling", take: "12A/3" });
  await page.locator("#put:disabled").waitFor();
  await page.locator("main .why").getByText("12A/3").waitFor();
  await api("lock", "PUT", { state: "open" });
  await page.locator("[data-look=look_1]").click();
  await page.locator("#put:not(:disabled)").waitFor();
  for (const left of [1, 0]) {
    await page.locator("#delete-look").click();
    await page.getByRole("button", { name: "Really delete" }).click();
    await until("it is gone", async () => Object.keys((await api("looks")).looks).length === left);
    await until("from the page, too", async () => (await page.locator("[data-look]").count()) === left);
  }
  await api("look", "PATCH", { outer: null, inner: null });
  return { faults };
});
