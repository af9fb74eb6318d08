// Users: the first administrator, out and in again, orders that are refused, a lock that somebody else holds.

import { accessibility, api, open, until, values, walk } from "./_kit.mjs";

const [code, key] = values;
const PASSWORD = "a long enough password";

await walk(async (page) => {
  const who = page.locator("#who");
  const fill = async (fields) => {
    for (const [name, value] of Object.entries(fields)) await page.locator(`#access-${name}`).fill(value);
    await page.locator("#access-go").click();
  };
  await open(page, "cues");
  await who.getByText("Set up users").click();
  await fill({ code: "AAAA-BBBB-CCCC", name: "boss", password: PASSWORD });
  await page.locator("#access-wrong").getByText("not the code").waitFor();
  await fill({ code: code.toLowerCase() });
  await who.getByText("boss · admin").waitFor();

  await who.click();
  await page.locator("#access-why").getByText("manage").waitFor();
  await page.locator("#access-go").click();
  await who.getByText("Log in").waitFor();
  await until("the show is told", () => page.locator("#state.good, #state.warn").count());
  await page.locator("[data-action=black]").click();
  await page.locator("#access-why").getByText("Nothing was changed").waitFor();
  await page.keyboard.press("b");
  if ((await api("action")).action !== "none") throw new Error("somebody unknown gave an order");
  await fill({ name: "boss", password: "not it at all" });
  await page.locator("#access-wrong").waitFor();
  const faults = await accessibility(page);
  await fill({ password: PASSWORD });
  await who.getByText("boss · admin").waitFor();
  await until("the show is told", () => page.locator("#state.good, #state.warn").count());

  await api("lock", "PUT", { state: "rolling", take: "12A/3" }, { authorization: `Bearer ${key}` });
  await page.locator("#lock[data-state=rolling]").getByText("12A/3").waitFor();
  await page.locator("#lock").click();
  await page.locator("#lock-reason").fill("wall 2 flickers");
  await page.locator("#lock-break").click();
  await page.locator("#lock[data-state=open]").waitFor();
  if ((await api("lock")).reason !== "wall 2 flickers") throw new Error("the reason is not kept");
  return { faults };
});
