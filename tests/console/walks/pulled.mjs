// Service, node and tracker pulled one after another: what the console says, how soon, and that it clears by itself.

import { accessibility, api, open, until, walk } from "./_kit.mjs";

/** What stands in the told bar and the strip, each time it changes, with when. */
function watch() {
  window.said = [];
  let last = "";
  const look = () => {
    const text = ["lost", "alarms", "state"].map((id) => document.getElementById(id)?.innerText.trim() ?? "").join("\n");
    if (text !== last) window.said.push([Date.now(), (last = text)]);
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
  look();
}

await walk(async (page) => {
  await open(page, "cues");
  await page.evaluate(watch);
  const quiet = () => until("all is well again", () => page.locator("#state.good").count());
  const told = {};

  async function pull(name, process_, wanted) {
    await quiet();
    const pids = (await api("nodes")).processes;
    const { pid } = Object.entries(pids).find(([id]) => id === process_)[1];
    const before = await page.evaluate("window.said.length");
    const at = Date.now();
    process.kill(pid, "SIGKILL");
    const [ms, text] = await until(`${name}: the console says so`, async () => {
      const since = (await page.evaluate("window.said")).slice(before);
      const found = since.find(([, words]) => wanted.test(words));
      return found && [found[0] - at, found[1]];
    });
    await quiet();
    const gone = (await page.evaluate("window.said")).at(-1)[0];
    told[name] = { ms, said: text.replaceAll("\n", " "), healedMs: gone - at };
  }

  await pull("service", "service", /does not answer/);
  await pull("node", "node-main", /Node main.*not there.*restarts it/s);
  await pull("tracker", "simulator", /tracker.*nothing received.*check that the tracker runs/s);

  // The log keeps what happened, with time code.
  await page.keyboard.press("a");
  await page.locator("#alarm-sheet li", { hasText: "Cleared: Tracking source tracker" }).first().waitFor();
  await page.locator("#alarm-sheet li", { hasText: "connected again" }).first().waitFor();
  told.faults = await accessibility(page);
  await page.keyboard.press("Escape");

  // The same in Chinese.
  await page.evaluate(() => localStorage.setItem("openvolume.language", "zh"));
  await page.reload();
  await page.evaluate(watch);
  await pull("追踪", "simulator", /追踪源 tracker.*没有收到追踪数据.*检查追踪器/s);
  return told;
});
