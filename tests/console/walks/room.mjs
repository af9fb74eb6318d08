// The stage, the cameras and the timing, each change seen in the show itself.

import { accessibility, api, open, until, walk } from "./_kit.mjs";

await walk(async (page) => {
  const faults = {};
  await open(page, "stage");
  await page.locator("canvas[data-loaded=true]").waitFor();
  const drawn = await page.evaluate("window.stageView.frames");
  await until("it is drawn again when the camera moves", async () => (await page.evaluate("window.stageView.frames")) > drawn + 3);
  const room = page.locator("canvas[data-loaded]");
  const box = await room.boundingBox();
  await page.mouse.click(box.x + box.width * 0.5, box.y + box.height * 0.42);
  await page.locator("#picked").getByText(/arc|ceiling/).waitFor();
  await page.locator("#picked button").click();
  await until("the canvas is identified", async () => Object.values(await api("canvases")).some((one) => one.identify));
  await page.locator("#picked button").click();
  await until("and is not any more", async () => !Object.values(await api("canvases")).some((one) => one.identify));
  await page.keyboard.press("v");
  await page.locator("canvas[data-layout=dome]").waitFor();
  await page.keyboard.press("f");
  await page.locator("canvas[data-layout=stage]").waitFor();
  faults.stage = await accessibility(page);

  await open(page, "cameras");
  await page.locator("[data-choice=frozen]").click();
  await until("its overscan is frozen", async () => (await api("cameras/a")).overscan_mode === "frozen");
  await page.locator("[data-choice=auto]").click();
  await until("and computed again", async () => (await api("cameras/a")).overscan_mode === "auto");
  await page.locator("main").click({ position: { x: 3, y: 3 } });
  await page.keyboard.press("g");
  await page.locator("[data-pattern=inner_grid][aria-pressed=true]").waitFor();
  await page.locator("[data-pattern=inner_grid]").click();
  await until("the grid is gone", async () => !(await api("patterns/inner_grid")).on);
  await page.getByRole("button", { name: "x up, by 1 mm" }).click();
  await until("it is nudged", async () => (await api("sources/tracker")).nudge.x_m === 0.001);
  await page.locator("#undo-nudge").click();
  await until("and back", async () => (await api("sources/tracker")).nudge.x_m === 0);
  await page.locator("#guided-start").click();
  await page.locator("[data-step=still]").click();
  await page.getByRole("button", { name: "Done" }).waitFor();
  await page.getByRole("button", { name: "End the check" }).click();
  await page.locator("#guided-start").waitFor();
  faults.cameras = await accessibility(page);

  await open(page, "timing");
  await page.getByRole("button", { name: "Stopped" }).click();
  await page.locator(".bar").nth(3).click();
  const why = await until("it is told", () => page.locator("#why li").first().textContent());
  faults.timing = await accessibility(page);
  return { faults, why };
}, { gl: true });
