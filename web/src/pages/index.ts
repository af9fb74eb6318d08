// The pages, in the order of the rail. Each is loaded when it is first opened.

import type { Component } from "svelte";
import type { IconName } from "../parts/Icon.svelte";
import { words } from "../lib/lang.svelte";

export interface PageAbout {
  id: string;
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
  { id: "stage", icon: "stage", label: () => says.now.stage, load: () => import("./stage/StagePage.svelte") },
  { id: "scenes", icon: "scenes", label: () => says.now.scenes, load: () => import("./scenes/ScenesPage.svelte") },
  { id: "looks", icon: "looks", label: () => says.now.looks, load: () => import("./looks/LooksPage.svelte") },
  { id: "cues", icon: "cues", label: () => says.now.cues, load: () => import("./cues/CuesPage.svelte") },
  { id: "director", icon: "director", label: () => says.now.director, load: () => import("./director/DirectorPage.svelte"), whole: true },
  { id: "timing", icon: "timing", label: () => says.now.timing, load: () => import("./timing/TimingPage.svelte") },
  { id: "cameras", icon: "cameras", label: () => says.now.cameras, load: () => import("./cameras/CamerasPage.svelte") },
  { id: "cards", icon: "cards", label: () => says.now.cards, load: () => import("./cards/CardsPage.svelte") },
  { id: "takes", icon: "takes", label: () => says.now.takes, load: () => import("./takes/TakesPage.svelte") },
  { id: "outputs", icon: "outputs", label: () => says.now.outputs, load: () => import("./outputs/OutputsPage.svelte") },
  { id: "setup", icon: "setup", label: () => says.now.setup, load: () => import("./setup/SetupPage.svelte") },
];
