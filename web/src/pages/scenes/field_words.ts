// What the live values of scenes are called in Chinese, by the last part of their address. In English the address is
// its own word. `tests/console` keeps the list whole.

import { language } from "../../lib/lang.svelte";

const CHINESE: Record<string, string> = {
  aim_m: "指向", altitude_m: "海拔", ambient: "环境光", animation: "动画", background: "背景", base_colour: "底色", base_m: "基准高度", candela: "光强", colour: "颜色", cones_deg: "光锥",
  disc: "日轮", distance_m: "距离", elevation_deg: "高度", emissive: "自发光", exposure_ev: "曝光", falloff_m: "衰减", glow_forward: "前向散射", ground_albedo: "地面反照率", haze: "霾",
  illuminance: "亮度", kind: "类型", lamp_shadow_px: "灯影像素", later_h: "推后", latitude_deg: "纬度", least: "最低", light: "照亮场景", longitude_deg: "经度", lumens: "光通量", lux: "照度",
  metallic: "金属度", night_nits: "夜空亮度", north_deg: "北（水平角）", on: "开启", ozone: "臭氧", pan_deg: "方向", play: "播放", position_m: "位置", radius_m: "半径", range_m: "射程",
  roll_deg: "横滚", roughness: "粗糙度", scale: "大小", shadow: "阴影", shadow_cascades: "阴影级数", shadow_detail_m: "阴影细节", sky_distance_m: "天空距离", speed: "速度", stars: "星空", sun: "太阳",
  strength: "强度", sun_glow: "日晕", temperature_k: "色温", tilt_deg: "俯仰", time_s: "时间", variant: "变体", visible: "可见", when: "日期时间", x_m: "X", y_m: "Y", yaw_deg: "旋转", z_m: "Z",
};
const ENGLISH: Record<string, string> = {
  pan_deg: "Direction", elevation_deg: "Height", illuminance: "Brightness", yaw_deg: "Turn", light: "Lights the scene", visible: "Seen", scale: "Size", base_m: "Base", later_h: "Later",
};

/** What the last part of an address is called. */
export function fieldWord(field: string): string {
  if (language.code === "zh" && CHINESE[field]) return CHINESE[field];
  const plain = field.replace(/_(m|deg|ev|px|s|h|nits|k)$/, "").replaceAll("_", " ");
  return ENGLISH[field] ?? `${plain.charAt(0).toUpperCase()}${plain.slice(1)}`;
}
