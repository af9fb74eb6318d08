// Every page once, each with one act that is seen in the show itself.

import { api, forget, open, until, walk } from "./_kit.mjs";

await walk(async (page) => {
  await open(page, "cues");
  const pages = await page.locator("nav [data-page]").evaluateAll((all) => all.map((one) => one.dataset.page));
  const to = async (name) => {
    await page.evaluate((where) => { location.hash = `#/${where}`; }, name);
    await page.locator(`main[data-page=${name}] > *`).first().waitFor();
    for (const action of ["black", "hold", "safe", "work", "none"]) await page.locator(`[data-action=${action}]`).waitFor();
  };
  const acts = {
    stage: async () => {
      await page.locator("canvas[data-loaded=true]").waitFor();
      await page.keyboard.press("v");
      await page.locator("canvas[data-layout=dome]").waitFor();
    },
    scenes: async () => {
      await page.locator("[data-scene=dusk]").click();
      await page.locator("[data-choice=cut]").click();
      await page.locator("#take").click();
      await until("the scene is cut to", async () => (await api("show")).scene === "dusk");
      await page.locator("[data-scene=plaza]").click();
      await page.locator("#take").click();
      await until("and back", async () => (await api("show")).scene === "plaza");
    },
    looks: async () => {
      await page.locator("#store").click();
      const id = await until("the look is kept", async () => Object.keys((await api("looks")).looks)[0]);
      await page.locator(`[data-look=${id}]`).waitFor();
      await forget(`looks/${id}`);
    },
    cues: async () => {
      await api("cues/dim", "PUT", { number: "1", label: "Dim", changes: { exposure_ev: -1.5 } });
      await page.locator("[data-cue=dim].next").waitFor();
      await page.keyboard.press(" ");
      await until("GO", async () => (await api("show")).exposure_ev === -1.5);
      await page.locator("[data-cue=dim].current").waitFor();
      await page.keyboard.press("Backspace");
      await until("BACK", async () => (await api("show")).exposure_ev === 0);
      await api("cues/dim", "DELETE");
    },
    director: async () => {
      await page.getByRole("slider", { name: "Exposure" }).first().focus();
      await page.keyboard.press("ArrowLeft");
      await until("the director darkens", async () => (await api("scenes/plaza")).edits.exposure_ev < 0);
      await api("scenes/plaza", "PATCH", { exposure_ev: null });
    },
    timing: async () => {
      await page.locator(".bar").nth(3).waitFor();
      const { frame } = await api("health");
      await page.locator("input[type=number], input[inputmode=numeric]").first().fill(String(frame - 20));
      await page.keyboard.press("Enter");
      await page.locator("#why li").first().waitFor();
    },
    cameras: async () => {
      await page.locator("[data-choice=frozen]").click();
      await until("its overscan is frozen", async () => (await api("cameras/a")).overscan_mode === "frozen");
      await page.locator("[data-choice=auto]").click();
      await until("and computed again", async () => (await api("cameras/a")).overscan_mode === "auto");
    },
    cards: async () => {
      await page.locator("#new-light").click();
      const card = await until("the card is there", async () => Object.keys(await api("cards"))[0]);
      await page.locator(`[data-card=${card}]`).waitFor();
      await forget(`cards/${card}`);
    },
    takes: async () => {
      await page.locator("#take-arm").click();
      await page.locator("#lock[data-state=armed]").waitFor();
      await page.locator("#take-open").click();
      await page.locator("#lock[data-state=open]").waitFor();
    },
    outputs: async () => {
      await page.locator("[data-canvas=left] button").first().click();
      await until("a canvas is identified", async () => (await api("canvases/left")).identify);
      await page.locator("[data-canvas=left] button").first().click();
      await until("and not any more", async () => !(await api("canvases/left")).identify);
    },
    setup: () => page.locator("main button").first().waitFor(),
  };
  for (const name of pages) {
    await to(name);
    await acts[name]();
  }
  if (pages.length !== Object.keys(acts).length) throw new Error(`a page has no act: ${pages}`);
  return { pages };
}, { width: 1180, height: 760, gl: true });
