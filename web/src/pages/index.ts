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
  { stage: "Stage", scenes: "Scenes", setup: "Setup" },
  { stage: "舞台", scenes: "场景", setup: "设置" },
);

export const PAGES: PageAbout[] = [
  { id: "stage", icon: "stage", label: () => says.now.stage, load: () => import("./stage/StagePage.svelte") },
  { id: "scenes", icon: "scenes", label: () => says.now.scenes, load: () => import("./scenes/ScenesPage.svelte") },
  { id: "setup", icon: "setup", label: () => says.now.setup, load: () => import("./setup/SetupPage.svelte") },
];
