// The pages, in the order of the rail. Each is loaded when it is first opened.

import type { Component } from "svelte";
import type { IconName } from "../parts/Icon.svelte";
import { words } from "../lib/lang.svelte";

export interface PageAbout {
  id: string;
  /** What opens it: the digits in the order of the rail, and a comma for the set-up, as settings are opened elsewhere. */
  key: string;
  icon: IconName;
  label: () => string;
  load: () => Promise<{ default: Component }>;
  /** It takes the whole screen: no rail, no strip. */
  whole?: boolean;
}

const says = words(
  {
    stage: "Stage", scenes: "Scenes", looks: "Looks", cues: "Cues", director: "Director", timing: "Timing", cameras: "Cameras", outputs: "Outputs", cards: "Cards & keys", takes: "Takes",
    setup: "Setup",
  },
  {
    stage: "舞台", scenes: "场景", looks: "外观", cues: "提示点", director: "导演", timing: "时序", cameras: "摄影机", outputs: "输出", cards: "灯卡与抠像", takes: "条次",
    setup: "设置",
  },
);

export const PAGES: PageAbout[] = [
  { id: "stage", key: "1", icon: "stage", label: () => says.now.stage, load: () => import("./stage/StagePage.svelte") },
  { id: "scenes", key: "2", icon: "scenes", label: () => says.now.scenes, load: () => import("./scenes/ScenesPage.svelte") },
  { id: "looks", key: "3", icon: "looks", label: () => says.now.looks, load: () => import("./looks/LooksPage.svelte") },
  { id: "cues", key: "4", icon: "cues", label: () => says.now.cues, load: () => import("./cues/CuesPage.svelte") },
  { id: "director", key: "5", icon: "director", label: () => says.now.director, load: () => import("./director/DirectorPage.svelte"), whole: true },
  { id: "timing", key: "6", icon: "timing", label: () => says.now.timing, load: () => import("./timing/TimingPage.svelte") },
  { id: "cameras", key: "7", icon: "cameras", label: () => says.now.cameras, load: () => import("./cameras/CamerasPage.svelte") },
  { id: "cards", key: "8", icon: "cards", label: () => says.now.cards, load: () => import("./cards/CardsPage.svelte") },
  { id: "takes", key: "9", icon: "takes", label: () => says.now.takes, load: () => import("./takes/TakesPage.svelte") },
  { id: "outputs", key: "0", icon: "outputs", label: () => says.now.outputs, load: () => import("./outputs/OutputsPage.svelte") },
  { id: "setup", key: ",", icon: "setup", label: () => says.now.setup, load: () => import("./setup/SetupPage.svelte") },
];
