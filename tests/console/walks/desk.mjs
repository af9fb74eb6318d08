// Outputs, takes, a frame's why and the show's file, each seen in the show itself; what a rolling take holds says so.

import { accessibility, api, open, until, url, walk } from "./_kit.mjs";

await walk(async (page) => {
  const faults = {};
  await open(page, "outputs");
  const picture = page.locator("[data-touch]").first();
  const canvas = await picture.getAttribute("data-touch");
  await picture.focus();
  await page.keyboard.press("Enter");
  await page.locator(`#tile-${canvas}`).getByText(/Tile/).first().waitFor();
  faults.canvases = await accessibility(page);

  await page.evaluate(() => { location.hash = "#/outputs/processors"; });
  await page.getByRole("button", { name: "What would change" }).click();
  await page.locator("#dry li").first().waitFor();
  faults.processors = await accessibility(page);

  await page.evaluate(() => { location.hash = "#/outputs/captures"; });
  await page.locator("#capture-begin").click();
  const capture = page.locator("[data-capture]").first();
  await capture.locator("[data-end]").click();
  await until("the capture ends", async () => Object.values(await api("captures")).every((one) => ["done", "failed"].includes(one.state)));
  const ended = Object.values(await api("captures"));
  if (!ended.length || ended.some((one) => one.state !== "done")) throw new Error(JSON.stringify(ended));
  await capture.locator("[data-end]").waitFor({ state: "detached" });
  faults.captures = await accessibility(page);

  await open(page, "timing");
  const newest = await until("frames are told", async () => (await api("frames/latest")).records.at(-1)?.frame);
  await page.getByRole("textbox", { name: "Frame number" }).fill(String(newest));
  await page.keyboard.press("Enter");
  await page.locator("#why li").getByText(String(newest)).first().waitFor();

  await page.evaluate(() => { location.hash = "#/setup/file"; });
  const file = await fetch(`${url}api/v1/show/export`);
  if (!file.ok) throw new Error(`export: ${file.status}`);
  await page.locator("#show-import").setInputFiles({ name: "show.ovshow", mimeType: "application/zip", buffer: Buffer.from(await file.arrayBuffer()) });
  await page.locator("#import-found").waitFor();
  await page.locator("#show-import").setInputFiles({ name: "no.ovshow", mimeType: "application/zip", buffer: Buffer.from("not a show") });
  await page.locator("[role=alert]").first().waitFor();
  faults.file = await accessibility(page);

  await open(page, "takes");
  await page.locator("#take-arm").click();
  await page.locator("#take-roll").click();
  await page.locator("#take-cut").waitFor();
  await page.evaluate(() => { location.hash = "#/cameras"; });
  await page.locator(".held").getByText(/Nothing here moves until it is cut/).waitFor();
  await page.locator("[data-pattern=inner_grid]:disabled").waitFor();
  await page.evaluate(() => { location.hash = "#/takes"; });
  await page.locator("#take-cut").click();
  await page.locator("li[data-take] [data-mark=circle]").first().click();
  await until("the take is circled", async () => (await api("takes")).takes[0].mark === "circle");
  await page.locator("#take-open").click();
  await page.locator("#lock[data-state=open]").waitFor();
  faults.takes = await accessibility(page);
  await page.evaluate(() => { location.hash = "#/cameras"; });
  await page.locator("[data-pattern=inner_grid]:enabled").waitFor();
  return { faults };
});
