// The frame of every page: orders by key and by hand, the show lock, the help sheet, the language, the lost connection.

import { api, open, until, walk, wire } from "./_kit.mjs";

await walk(async (page) => {
  await open(page, "cues");
  const action = async () => (await api("action")).action;
  for (const [key, name] of [["b", "black"], ["h", "hold"], ["s", "safe"], ["w", "work"], ["Escape", "none"]]) {
    await page.keyboard.press(key);
    await until(`${key} orders ${name}`, async () => (await action()) === name);
    await page.locator(`[data-action=${name}][aria-pressed=true]`).waitFor();
  }
  await page.locator("[data-action=black]").click();
  await page.locator("#ordered").getByText("BLACK").waitFor();
  await page.locator("#ordered button").click();
  await until("back to the show", async () => (await action()) === "none");

  await page.keyboard.press("?");
  await page.locator("#help").getByText("Every wall black").waitFor();
  await page.keyboard.press("b");
  await page.keyboard.press("Escape");
  if ((await action()) !== "none") throw new Error("a key in a dialog gave an order");

  await page.locator("#lock").click();
  await page.locator("#lock-take").fill("12A/3");
  await page.locator("#lock-roll").click();
  await page.locator("#lock[data-state=rolling]").waitFor();
  if ((await api("lock")).take !== "12A/3") throw new Error("the take has another name");
  await page.locator("#lock-sheet").waitFor({ state: "hidden" }); // the answer may come behind the event
  await page.keyboard.press("l");
  await page.locator("#lock-cut").click();
  await page.locator("#lock[data-state=locked]").waitFor();
  await page.locator("#lock-sheet").waitFor({ state: "hidden" });
  await page.keyboard.press("l");
  await page.locator("#lock-open").click();
  await page.locator("#lock[data-state=open]").waitFor();

  await page.locator("#menu").click();
  await page.locator("[data-choice=zh]").click();
  await page.keyboard.press("Escape");
  await page.locator("[data-action=black]").getByText("全黑").waitFor();
  await page.locator("#menu").click();
  await page.locator("[data-choice=en]").click();
  await page.keyboard.press("Escape");

  const line = await wire();
  await open(page, "cues", line.url);
  const began = Date.now();
  line.cut();
  await page.locator("#lost").waitFor();
  const lostMs = Date.now() - began;
  line.mend();
  await page.locator("#lost").waitFor({ state: "detached" });
  await until("it is told again", () => page.locator("#state.good, #state.warn").count());
  await page.goto("about:blank");
  line.close();
  return { lostMs };
});
