// The first hour of docs/operator.md, step by step and only by what it says. `guide.mjs URL FOLDER [LANGUAGE]` puts a
// picture of each step into FOLDER.

import { mkdirSync } from "node:fs";
import { api, forget, open, until, values, walk } from "./_kit.mjs";

const [folder = "", language = "en"] = values;
const zh = language === "zh";

await walk(async (page) => {
  if (folder) mkdirSync(folder, { recursive: true });
  await page.addInitScript((code) => localStorage.setItem("openvolume.language", code), language);
  const picture = async (name) => {
    if (!folder) return;
    await page.locator(".toast").waitFor({ state: "detached", timeout: 12_000 }).catch(() => {});
    await page.waitForTimeout(700);
    await page.screenshot({ type: "jpeg", quality: 84, path: `${folder}/guide-${name}${zh ? "-zh" : ""}.jpg` });
  };
  /** By number, as the rail counts the pages. */
  const go = async (name) => {
    const at = await page.locator("nav [data-page]").evaluateAll((all, wanted) => all.findIndex((one) => one.dataset.page === wanted), name);
    if (at < 10) await page.keyboard.press(String((at + 1) % 10));
    else await page.locator(`nav [data-page=${name}]`).click();
    await page.locator(`main[data-page=${name}] > *`).first().waitFor();
  };

  // 1. The wall follows a move.
  await open(page, "stage");
  await page.locator("canvas[data-loaded=true]").waitFor();
  const seen = async () => { const { position_m, pan_deg } = await api("cameras/a"); return JSON.stringify([position_m, pan_deg]); };
  const first = await seen();
  await until("the camera moves", async () => (await seen()) !== first);
  const drawn = await page.evaluate("window.stageView.frames");
  await until("the walls are drawn anew", async () => (await page.evaluate("window.stageView.frames")) > drawn + 8);
  await picture("1-stage");

  // 2. Warm the sun, and lower it.
  await go("scenes");
  const sun = page.locator("main [role=slider]").first();
  await sun.waitFor();
  const height = async () => (await api("scenes/plaza/addresses")).values.find((one) => one.address === "sun/elevation_deg").value;
  const was = await height();
  await sun.focus();
  for (let i = 0; i < 6; i += 1) await page.keyboard.press("ArrowDown");
  await until("the sun sinks", async () => (await height()) < was - 3);
  await page.locator("main input[type=color]").first().fill("#ff9a4d");
  await until("and is warmer", async () => {
    const { edits } = await api("scenes/plaza");
    return JSON.stringify(edits).includes("colour");
  });
  await picture("2-sun");

  // 3. Store it as a look.
  await go("looks");
  await page.locator("#store").click();
  await page.locator("#look-label").fill(zh ? "暖色黄昏" : "Warm evening");
  await page.keyboard.press("Enter");
  await until("the look is kept", async () => Object.values((await api("looks")).looks).some((one) => one.label.includes(zh ? "黄昏" : "Warm")));
  await page.locator("[data-still]:not([data-still=''])").first().waitFor({ timeout: folder ? 60_000 : 1 }).catch(() => {});
  await picture("3-look");

  // 4. A light card.
  await go("cards");
  await page.locator("#new-light").click();
  const card = await until("the card is there", async () => Object.keys(await api("cards"))[0]);
  await page.locator(`[data-card=${card}]`).waitFor();
  if (folder) {
    await page.locator("canvas[data-loaded=true]").waitFor();
    await page.waitForTimeout(2500);
  }
  await picture("4-card");

  // 5. A cue list, built and run.
  await go("cues");
  const cue = async (label, exposure) => {
    const before = (await api("cues")).cues.length;
    await page.keyboard.press("n");
    await page.locator("#cue-label").fill(label);
    await page.locator("#cue-take").click();
    const lines = page.locator("#cue-sheet .line");
    await until("its lines", async () => (await lines.count()) >= 2);
    await lines.filter({ has: page.locator("input") }).nth(1).locator("input").nth(1).fill(String(exposure));
    await page.locator("#cue-save").click();
    await until("the cue is there", async () => (await api("cues")).cues.length > before);
    await page.locator("#cue-sheet").waitFor({ state: "hidden" });
  };
  await cue(zh ? "黄昏" : "Evening", 0);
  await cue(zh ? "入夜" : "Night falls", -1.5);
  const [evening, night] = (await api("cues")).cues;
  await page.locator(`[data-cue=${evening.id}]`).waitFor();
  await page.keyboard.press(" ");
  await page.locator(`[data-cue=${evening.id}].current`).waitFor();
  await picture("5-cues");
  await page.keyboard.press(" ");
  await until("GO", async () => (await api("show")).exposure_ev === -1.5);
  await page.locator(`[data-cue=${night.id}].current`).waitFor();
  await page.keyboard.press("Backspace");
  await until("BACK", async () => (await api("show")).exposure_ev === 0);

  // 6. A take, played on the walls again.
  await go("takes");
  await page.locator("#take-arm").click();
  await page.locator("#take-roll").click();
  await page.locator("#take-cut").waitFor();
  const from = (await api("health")).frame;
  await until("it rolls for three seconds", async () => (await api("health")).frame > from + 72);
  await page.locator("#take-cut").click();
  await page.locator("#take-open").click();
  await page.locator("#lock[data-state=open]").waitFor();
  await page.locator("[data-mark=circle]").first().click();
  await page.locator("[data-mark=circle][aria-pressed=true]").first().waitFor();
  await page.locator("[data-replay]:enabled").first().click();
  await page.locator("#take-stop").waitFor();
  await picture("6-take");
  await page.locator("#take-stop").click();
  await page.locator("#take-stop").waitFor({ state: "detached" });

  // 7. Why a frame was late: HOLD makes some that repeat.
  await go("timing");
  await page.keyboard.press("h");
  await page.locator("#ordered").waitFor();
  const held = (await api("health")).frame;
  await until("some slots repeat", async () => (await api("health")).frame > held + 12);
  await page.keyboard.press("Escape");
  await page.locator("#ordered").waitFor({ state: "detached" });
  const why = await until("it is told why", async () => {
    await page.keyboard.press("m");
    return page.locator("#why li").first().textContent({ timeout: 2000 });
  });
  await picture("7-late");

  // 8. The stage elsewhere in the scene.
  await go("scenes");
  await page.locator("[data-position=gate]").click();
  await until("the stage stands before the gate", async () => (await api("show")).position === "gate");
  await go("director");
  await page.locator("canvas[data-frame]:not([data-frame=''])").waitFor();
  if (folder) await page.waitForTimeout(4000);
  await picture("8-elsewhere");

  // Everything as it was.
  await api("positions/plaza/activate", "POST", {});
  for (const { id } of (await api("cues")).cues) await api(`cues/${id}`, "DELETE");
  await forget(`cards/${card}`);
  for (const id of Object.keys((await api("looks")).looks)) await forget(`looks/${id}`);
  for (const { address } of (await api("scenes/plaza/addresses")).values.filter((one) => one.edited && one.address.startsWith("sun/"))) {
    await api("scenes/plaza", "PATCH", { sun: { [address.slice(4)]: null } });
  }
  await api("show", "PATCH", { exposure_ev: 0 });
  return { why };
}, { gl: true, locale: zh ? "zh-CN" : "en-GB" });
