// Every page without a mouse: Tab reaches every control that can be seen and comes round, where the focus is can be
// seen, and the orders to every wall are within reach on every page and size.

import { open, until, values, walk } from "./_kit.mjs";

const only = values[0]?.split(",");
const SIZES = { desk: [1440, 900], tablet: [1024, 768], phone: [390, 844] };

await walk(async (page) => {
  const told = { pages: {}, orders: [] };
  await open(page, "cues");
  const pages = (await page.locator("nav [data-page]").evaluateAll((all) => all.map((one) => one.dataset.page))).filter((name) => !only || only.includes(name));
  for (const name of pages) {
    await page.evaluate((to) => { location.hash = `#/${to}`; }, name);
    await page.locator(`main[data-page=${name}] > *`).first().waitFor();
    await page.waitForTimeout(400);
    await page.evaluate(() => document.activeElement?.blur());
    const seen = new Map();
    let unseen = 0;
    for (let i = 0; i < 400; i += 1) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const one = document.activeElement;
        if (!one || one === document.body) return null;
        window.walked ??= new WeakMap();
        if (!window.walked.has(one)) window.walked.set(one, Math.random().toString(36).slice(2));
        const style = getComputedStyle(one);
        return { id: window.walked.get(one), ring: style.outlineStyle !== "none" || style.boxShadow !== "none" || !!one.shadowRoot, main: !!one.closest("main") };
      });
      if (!at) break;
      if (seen.has(at.id)) break;
      seen.set(at.id, at);
      if (!at.ring) unseen += 1;
    }
    const wanted = await page.evaluate(() => [...document.querySelectorAll("main a[href], main button:not(:disabled), main input:not(:disabled), main select:not(:disabled), main textarea:not(:disabled), main [role=slider], main [tabindex='0']")]
      .filter((one) => one.offsetParent !== null && one.tabIndex >= 0 && one.getClientRects().length).length);
    const inMain = [...seen.values()].filter((one) => one.main).length;
    told.pages[name] = { reached: inMain, of: wanted, unseen };
  }
  for (const [size, [width, height]] of Object.entries(SIZES)) {
    await page.setViewportSize({ width, height });
    for (const name of pages) {
      await page.evaluate((to) => { location.hash = `#/${to}`; }, name);
      await page.locator(`main[data-page=${name}] > *`).first().waitFor();
      for (const action of ["black", "hold", "safe", "work", "none"]) {
        const button = page.locator(`[data-action=${action}]`).first();
        await until(`${action} on ${name} ${size}`, () => button.isVisible());
        const box = await button.boundingBox();
        if (box.x < 0 || box.y < 0 || box.x + box.width > width + 1 || box.y + box.height > height + 1 || box.width < 44 || box.height < 44) told.orders.push(`${name} ${size} ${action}: ${JSON.stringify(box)}`);
      }
    }
  }
  return told;
});
