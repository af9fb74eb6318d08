// The stage in three dimensions: walls with their live canvases, cameras with frusta and trails, drawn when something
// has changed. Stage metres are used as they are: +X right, +Y forward, +Z up.

import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import type { Many } from "../../lib/live.svelte";
import { preview } from "../../lib/preview";
import { Bodies, type Around } from "./bodies";
import { Figures } from "./figures";
import { mixed, surfaces, type Piece, type StageDocument, type Surface } from "./geometry";
import { HEATS, at as heatAt, shares, type Heat, type Told } from "./heat";
import { framed } from "./framed";
import { optics, type Optics } from "./optics";
import { along, type Point } from "./rays";
import { ready, table, WHITE_NITS } from "./ready";
import { FRAGMENT, HEAT_FRAGMENT, VERTEX } from "./shaders";

export type Layout = "stage" | "dome" | "flat";
export type Preset = "operator" | "front" | "top" | "eye" | "camera";
export type Trouble = "" | "warn" | "bad";
export interface Picked {
  piece: Piece;
  wallPx: [number, number];
  canvasPx: [number, number];
  point: Point;
  normal: Point;
  pitchM: number;
}
THREE.ColorManagement.enabled = false; // colours here are what the screen shows
const COLOURS = { line: 0x3b4954, good: 0x6bd0a0, warn: 0xf2b64f, bad: 0xff7d6e, accent: 0x7cc7e6, soft: 0x8fa0ab };

/** Whether this browser draws WebGL on the processor: then smoothing of edges costs four times as much as the rest. */
function bySoftware(): boolean {
  const probe = document.createElement("canvas").getContext("webgl2");
  const about = probe?.getExtension("WEBGL_debug_renderer_info");
  const name = String(about ? probe?.getParameter(about.UNMASKED_RENDERER_WEBGL) : "");
  probe?.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}

/** The way from what is looked at to who looks: from behind the cameras, a little aside, so that the floor is seen. */
const FROM: Record<"operator" | "front" | "top", Point> = { operator: [0.26, -0.92, 0.29], front: [0, -1, 0], top: [0, -0.001, 1] };
/** The row of choices that lies over the picture. */
const TOOLS_PX = 68;

/** A picture that takes longer to draw while the hand moves it is drawn with fewer pixels. */
const SLOW_MS = 55;
const RATIOS = [2, 1, 0.75, 0.5, 0.35] as const;
const REST_MS = 350;

export class StageView {
  layout: Layout = "stage";
  frames = 0;
  readonly #renderer: THREE.WebGLRenderer;
  readonly #scene = new THREE.Scene();
  readonly #eye = new THREE.PerspectiveCamera(45, 1, 0.05, 500);
  readonly #flat = new THREE.OrthographicCamera(-1, 1, 1, -1, -100, 100);
  readonly #orbit: OrbitControls;
  readonly #slide: OrbitControls;
  readonly #walls = new THREE.Group();
  readonly #floor = new THREE.Group();
  readonly #watched: ResizeObserver;
  #surfaces: Surface[] = [];
  #stage: StageDocument | null = null;
  #materials = new Map<string, THREE.ShaderMaterial>();
  #edges = new Map<string, THREE.LineSegments>();
  #stops: (() => void)[] = [];
  #dirty = true;
  #loop = 0;
  #slowMs = 0;
  #level = 0;
  #restLevel = 0;
  #moveLevel = 0;
  #moving = false;
  #gripped = false;
  #turned = false;
  #movedMs = 0;
  #steppedMs = 0;
  #heat: Heat = "off";
  #optics: Optics | null = null;
  #boxes = new Map<Layout, THREE.Box3>();
  readonly #soft = bySoftware();
  readonly #figures = new Figures();
  readonly #bodies = new Bodies();
  #preset: Preset = "operator";
  #marks: THREE.Points;
  #measured: THREE.Line;
  #closed = false;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.#renderer = new THREE.WebGLRenderer({ canvas, antialias: !this.#soft, powerPreference: "high-performance" });
    this.#renderer.setClearColor(0x0b0e11);
    this.#renderer.outputColorSpace = THREE.LinearSRGBColorSpace; // the shader ends in display codes
    this.#scene.add(this.#walls, this.#floor, this.#figures.group, this.#bodies.group);
    this.#level = this.#restLevel = this.#moveLevel = RATIOS.findIndex((ratio) => ratio <= Math.min(devicePixelRatio, this.#soft ? 1 : 2));
    if (this.#level < 0) this.#level = this.#restLevel = this.#moveLevel = 1;
    this.#eye.up.set(0, 0, 1);
    this.#flat.up.set(0, 0, 1);
    this.#flat.position.set(0, -50, 0);
    this.#flat.lookAt(0, 0, 0);
    this.#orbit = new OrbitControls(this.#eye, canvas);
    this.#orbit.enableDamping = false;
    this.#orbit.maxDistance = 120;
    this.#orbit.minDistance = 0.4;
    this.#slide = new OrbitControls(this.#flat, canvas);
    this.#slide.enableRotate = false;
    this.#slide.mouseButtons = { LEFT: THREE.MOUSE.PAN, MIDDLE: THREE.MOUSE.DOLLY, RIGHT: THREE.MOUSE.PAN };
    this.#slide.touches = { ONE: THREE.TOUCH.PAN, TWO: THREE.TOUCH.DOLLY_PAN };
    for (const controls of [this.#orbit, this.#slide]) {
      // A hand on the view, not a view that follows a camera.
      controls.addEventListener("start", () => { this.#gripped = this.#turned = true; });
      controls.addEventListener("end", () => { this.#gripped = false; });
      controls.addEventListener("change", () => {
        this.redraw();
        if (!this.#gripped) return;
        this.#movedMs = performance.now();
        if (!this.#moving) this.#sharpen(this.#moveLevel);
        this.#moving = true;
      });
    }
    const dots = new THREE.BufferGeometry();
    dots.setAttribute("position", new THREE.BufferAttribute(new Float32Array(6), 3));
    dots.setDrawRange(0, 0);
    this.#marks = new THREE.Points(dots, new THREE.PointsMaterial({ color: COLOURS.accent, size: 9, sizeAttenuation: false, depthTest: false }));
    this.#measured = new THREE.Line(dots, new THREE.LineBasicMaterial({ color: COLOURS.accent, depthTest: false }));
    this.#marks.frustumCulled = this.#measured.frustumCulled = false;
    this.#scene.add(this.#marks, this.#measured);
    this.#watched = new ResizeObserver(() => this.#resize());
    this.#watched.observe(canvas.parentElement!);
    this.#resize();
    this.setLayout("stage");
    const step = (): void => {
      this.#loop = requestAnimationFrame(step);
      const now = performance.now();
      if (this.#moving && now - this.#movedMs > REST_MS) {
        this.#moving = false;
        // What was quick at the last turn may have more pixels at the next.
        this.#moveLevel = Math.max(this.#restLevel, this.#level - (this.#slowMs < 25 ? 1 : 0));
        this.#sharpen(this.#restLevel);
      }
      if (!this.#dirty) {
        this.#steppedMs = 0;
        return;
      }
      this.#draw();
      // The browser comes back later the longer the last picture takes, wherever it is drawn. A machine that draws
      // slowly gets fewer pixels while the view is turned, never a slower hand; at rest it is sharp again.
      if (this.#steppedMs) this.#slowMs = this.#slowMs * 0.7 + Math.min(500, now - this.#steppedMs) * 0.3;
      this.#steppedMs = now;
      if (this.#moving && this.#slowMs > SLOW_MS && this.#level < RATIOS.length - 1) {
        this.#slowMs *= 0.6;
        this.#sharpen(this.#level + 1);
      }
    };
    step();
  }

  /** What a second of turning comes to: for whoever measures it. */
  get ratio(): number {
    return this.#renderer.getPixelRatio();
  }

  #sharpen(level: number): void {
    if (level === this.#level) return;
    this.#level = level;
    // Seams of cabinets are many lines; a view that is turned slowly shows them again when it stands.
    for (const edges of this.#edges.values()) edges.visible = level <= this.#restLevel;
    this.#renderer.setPixelRatio(RATIOS[level]!);
    this.#draw();
  }

  /** At once: a canvas whose size is set is empty until it is drawn on. */
  #draw(): void {
    this.#dirty = false;
    this.#renderer.render(this.#scene, this.layout === "stage" ? this.#eye : this.#flat);
    this.frames += 1;
  }

  redraw(): void {
    this.#dirty = true;
  }

  show(stage: StageDocument, busy: boolean): void {
    this.#stage = stage;
    for (const stop of this.#stops) stop();
    this.#stops = [];
    this.#walls.clear();
    this.#floor.clear();
    this.#materials.clear();
    this.#edges.clear();
    this.#boxes.clear();
    this.#surfaces = surfaces(stage);
    const count = this.#surfaces.length;
    for (const surface of this.#surfaces) {
      const canvas = stage.canvases[surface.canvas]!;
      const texture: THREE.Texture = this.#soft ? new THREE.DataTexture(new Uint8Array([0, 0, 0, 255]), 1, 1) : new THREE.Texture();
      const through = table(canvas.encoding);
      texture.flipY = false;
      texture.colorSpace = THREE.NoColorSpace;
      texture.generateMipmaps = false;
      texture.minFilter = texture.magFilter = THREE.LinearFilter;
      const geometry = new THREE.BufferGeometry();
      geometry.setAttribute("position", new THREE.BufferAttribute(surface.stage, 3));
      geometry.setAttribute("stage", new THREE.BufferAttribute(surface.stage, 3));
      geometry.setAttribute("uv", new THREE.BufferAttribute(surface.uv, 2));
      geometry.setAttribute("pitch", new THREE.BufferAttribute(surface.pitchM, 1));
      geometry.setAttribute("mine", new THREE.BufferAttribute(new Float32Array(surface.pitchM.length).fill(1), 1));
      const material = new THREE.ShaderMaterial({
        vertexShader: VERTEX, fragmentShader: FRAGMENT, defines: this.#soft ? { READY: 1 } : {}, side: THREE.DoubleSide,
        uniforms: {
          picture: { value: texture }, tone: { value: new THREE.Vector4(0, 0, 0, 0) }, transfer: { value: canvas.encoding.transfer === "pq" ? 1 : 0 },
          gammaValue: { value: Number(canvas.encoding.transfer.replace("gamma", "")) / 10 || 2.4 },
          peakNits: { value: canvas.encoding.peak_nits }, narrow: { value: canvas.encoding.range === "full" ? 0 : 1 },
          whiteNits: { value: WHITE_NITS }, heat: { value: 0 }, eye: { value: new THREE.Vector3() }, focalPx: { value: 1 },
          toRight: { value: new THREE.Vector3() }, toFront: { value: new THREE.Vector3() }, toUp: { value: new THREE.Vector3() },
          blurPx: { value: 0 }, focusM: { value: 0 }, seen: { value: new THREE.Vector4() }, held: { value: new THREE.Vector4() },
        },
      });
      this.#materials.set(surface.canvas, material);
      const mesh = new THREE.Mesh(geometry, material);
      mesh.userData.surface = surface;
      mesh.frustumCulled = false;
      const lines = new THREE.BufferGeometry();
      lines.setAttribute("position", new THREE.BufferAttribute(surface.edges.stage, 3));
      const edges = new THREE.LineSegments(lines, new THREE.LineBasicMaterial({ color: COLOURS.line, transparent: true, opacity: 0.35 }));
      edges.frustumCulled = false;
      this.#edges.set(surface.canvas, edges);
      this.#walls.add(mesh, edges);
      let drawnMs = 0;
      const widthPx = Math.min(this.#soft && count > 6 ? 256 : busy ? 512 : 1024, Math.max(128, canvas.width_px / Math.max(1, stage.scale)));
      this.#stops.push(preview(`canvases/${surface.canvas}`, widthPx, this.#soft && count > 6 ? 2 : count > 6 ? 5 : busy ? 12 : 24, async ({ blob }) => {
        // While the view is turned without a GPU, the hand goes before new pictures: some every second.
        if (this.#soft && this.#moving && performance.now() - drawnMs < 1000) return;
        drawnMs = performance.now();
        const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
        if (this.#closed) return;
        const before = texture.image as Partial<ImageBitmap> | null;
        if (before?.width !== bitmap.width || before?.height !== bitmap.height) texture.dispose();
        if (this.#soft) {
          const { data, width, height } = ready(bitmap, through);
          bitmap.close();
          texture.image = { data, width, height };
        } else {
          before?.close?.();
          texture.image = bitmap;
        }
        texture.needsUpdate = true;
        this.redraw();
      }));
    }
    const grid = new THREE.GridHelper(24, 24, 0x2b3740, 0x182027);
    grid.rotation.x = Math.PI / 2;
    const axis = (to: Point, colour: number): THREE.Line =>
      new THREE.Line(new THREE.BufferGeometry().setFromPoints([new THREE.Vector3(0, 0, 0.01), new THREE.Vector3(...to)]), new THREE.LineBasicMaterial({ color: colour }));
    const mark = new THREE.Mesh(new THREE.SphereGeometry(0.07, 16, 12), new THREE.MeshBasicMaterial({ color: COLOURS.soft }));
    mark.position.set(...stage.eye_m);
    this.#floor.add(grid, axis([1, 0, 0.01], 0xb4524a), axis([0, 1, 0.01], 0x4e9d6c), mark);
    this.setLayout(this.layout);
    this.#heatUp();
  }

  setLayout(layout: Layout): void {
    this.layout = layout;
    this.#floor.visible = layout === "stage";
    this.#orbit.enabled = layout === "stage";
    this.#slide.enabled = layout !== "stage";
    for (const child of this.#walls.children) {
      const mesh = child as THREE.Mesh;
      const surface = mesh.userData.surface as Surface | undefined;
      if (surface) mesh.geometry.setAttribute("position", new THREE.BufferAttribute(surface[layout], 3));
    }
    for (const surface of this.#surfaces) {
      this.#edges.get(surface.canvas)?.geometry.setAttribute("position", new THREE.BufferAttribute(surface.edges[layout], 3));
    }
    this.#figures.group.visible = layout === "stage";
    this.#bodies.again(this.#around);
    this.clearMarks();
    this.fit();
  }

  /** Looks at all of it again; where it is only to be seen whole, as large as the picture takes it. */
  fit(preset: Preset = this.#preset): void {
    this.#preset = preset;
    this.#turned = false;
    const box = this.#box();
    if (box.isEmpty()) return;
    const middle = box.getCenter(new THREE.Vector3());
    const size = box.getSize(new THREE.Vector3());
    const place = this.canvas.parentElement!;
    const shape = place.clientWidth / Math.max(1, place.clientHeight);
    if (this.layout !== "stage") {
      const [w, h] = this.layout === "dome" ? [4.1, 4.1] : [size.x * 1.06, size.z * 1.08];
      const half = Math.max(h / 2, w / 2 / shape);
      Object.assign(this.#flat, { left: -half * shape, right: half * shape, top: half, bottom: -half, zoom: 1 });
      const at = this.layout === "dome" ? new THREE.Vector3() : middle;
      this.#flat.position.set(at.x, -50, at.z);
      this.#slide.target.set(at.x, 0, at.z);
      this.#flat.updateProjectionMatrix();
      this.#slide.update();
    } else {
      const { aim } = this.#bodies;
      if (preset === "eye") {
        this.#eye.fov = 75;
        const [x, y, z] = this.#stage?.eye_m ?? [0, 0, 1.6];
        this.#eye.position.set(x, y, z);
        this.#orbit.target.set(x, y + 4, z);
      } else if (preset === "camera" && aim) {
        this.#eye.fov = Math.max(20, aim.heightDeg * 1.15);
        this.#eye.position.set(...aim.at);
        this.#orbit.target.set(...along(aim.at, aim.forward, 4));
      } else {
        this.#eye.fov = 45;
        const back = FROM[preset === "camera" ? "operator" : preset];
        const { target, distance } = framed(this.#surfaces, back, { fovDeg: 45, shape, above: Math.min(0.4, TOOLS_PX / Math.max(1, place.clientHeight)) });
        this.#eye.position.set(...along(target, back, distance));
        this.#orbit.target.set(...target);
      }
      this.#eye.updateProjectionMatrix();
      this.#orbit.update();
    }
    this.redraw();
  }

  choose(camera: string): void {
    this.#bodies.choose(camera);
    this.redraw();
  }

  get #around(): Around {
    return { surfaces: this.#surfaces, eye: this.#stage?.eye_m ?? [0, 0, 1.6], layout: this.layout };
  }

  #box(): THREE.Box3 {
    let box = this.#boxes.get(this.layout);
    if (!box) {
      box = new THREE.Box3();
      for (const surface of this.#surfaces) box.union(new THREE.Box3().setFromArray(surface[this.layout]));
      this.#boxes.set(this.layout, box);
    }
    return box;
  }

  setHeat(heat: Heat, camera: Many["cameras"] | undefined): void {
    const before = this.#heat;
    this.#heat = camera ? heat : "off";
    this.#optics = camera ? optics(camera) : null;
    if (this.#heat !== "off" || before !== "off") this.#heatUp();
  }

  #heatUp(): void {
    const told = this.#optics;
    const shader = this.#heat === "off" ? FRAGMENT : HEAT_FRAGMENT;
    for (const material of this.#materials.values()) {
      if (material.fragmentShader !== shader) {
        material.fragmentShader = shader;
        material.needsUpdate = true;
      }
      if (!told) continue;
      const to = material.uniforms as Record<string, THREE.IUniform>;
      to.heat!.value = HEATS.indexOf(this.#heat);
      for (const [name, at] of [["eye", told.pupil], ["toRight", told.right], ["toFront", told.forward], ["toUp", told.up]] as const) (to[name]!.value as THREE.Vector3).set(...at);
      (to.seen!.value as THREE.Vector4).set(...told.seen);
      (to.held!.value as THREE.Vector4).set(...told.held);
      [to.focalPx!.value, to.blurPx!.value, to.focusM!.value] = [told.focalPx, told.blurPx, told.focusM];
    }
    if (told && this.#heat === "cover") {
      for (const child of this.#walls.children) {
        const surface = child.userData.surface as Surface | undefined;
        if (!surface || child.userData.mine === told.walls.join()) continue;
        child.userData.mine = told.walls.join();
        const mine = (child as THREE.Mesh).geometry.getAttribute("mine") as THREE.BufferAttribute;
        for (const piece of surface.pieces) (mine.array as Float32Array).fill(told.walls.includes(piece.wall) ? 1 : 0, piece.first * 3, (piece.first + piece.count) * 3);
        mine.needsUpdate = true;
      }
    }
    this.redraw();
  }

  /** What the maps say of a place that was touched. */
  told(picked: Picked): Told | null {
    return this.#optics && this.#heat !== "off" ? heatAt(this.#optics, picked.point, picked.normal, picked.pitchM, picked.piece.wall) : null;
  }

  /** How much of what the camera may see is covered; null: nobody asks. */
  covered(): ReturnType<typeof shares> | null {
    return this.#optics && this.#heat === "cover" ? shares(this.#optics, this.#surfaces) : null;
  }

  /** A canvas whose node, processor or picture is in trouble says so in colour. */
  setCanvas(id: string, trouble: Trouble): void {
    const edges = this.#edges.get(id)?.material as THREE.LineBasicMaterial | undefined;
    if (!edges) return;
    const colour = trouble ? COLOURS[trouble] : COLOURS.line;
    if (edges.color.getHex() === colour) return;
    edges.color.setHex(colour);
    edges.opacity = trouble ? 0.9 : 0.35;
    const tone = new THREE.Color(colour);
    (this.#materials.get(id)!.uniforms.tone!.value as THREE.Vector4).set(tone.r, tone.g, tone.b, trouble === "bad" ? 0.35 : trouble ? 0.16 : 0);
    this.redraw();
  }

  setSubjects(subjects: Many["subjects"][]): void {
    for (const subject of subjects) this.#figures.set(subject);
    this.#figures.keep(subjects.map((one) => one.id));
    this.redraw();
  }

  setCamera(camera: Many["cameras"]): void {
    if (!this.#bodies.set(camera, this.#around)) return;
    if (this.#preset === "camera" && this.layout === "stage" && this.#bodies.follows(camera.id)) this.fit("camera");
    this.redraw();
  }

  /** What is under a point of the screen. */
  pick(x: number, y: number): Picked | null {
    const box = this.canvas.getBoundingClientRect();
    const at = new THREE.Vector2(((x - box.left) / box.width) * 2 - 1, 1 - ((y - box.top) / box.height) * 2);
    const ray = new THREE.Raycaster();
    ray.setFromCamera(at, this.layout === "stage" ? this.#eye : this.#flat);
    const found = ray.intersectObjects(this.#walls.children.filter((child) => child instanceof THREE.Mesh))[0];
    if (!found || found.faceIndex == null) return null;
    const surface = found.object.userData.surface as Surface;
    const piece = surface.pieces.find((one) => found.faceIndex! >= one.first && found.faceIndex! < one.first + one.count);
    const canvas = this.#stage?.canvases[surface.canvas];
    if (!piece || !canvas) return null;
    const shown = surface[this.layout];
    const corners = [0, 1, 2].map((i) => new THREE.Vector3().fromArray(shown, (found.faceIndex! * 3 + i) * 3)) as [THREE.Vector3, THREE.Vector3, THREE.Vector3];
    const weights = THREE.Triangle.getBarycoord(found.point, ...corners, new THREE.Vector3());
    if (!weights) return null;
    const w: Point = [weights.x, weights.y, weights.z];
    const uv = mixed(surface.uv, 2, found.faceIndex, w);
    return {
      piece,
      wallPx: mixed(surface.wallPx, 2, found.faceIndex, w).map(Math.floor) as [number, number],
      canvasPx: [Math.floor(uv[0]! * canvas.width_px), Math.floor(uv[1]! * canvas.height_px)],
      point: mixed(surface.stage, 3, found.faceIndex, w) as Point,
      normal: normalOf(surface.stage, found.faceIndex),
      pitchM: surface.pitchM[found.faceIndex * 3] ?? 0.002,
    };
  }

  /** Marks one point, or two with a line between them. */
  mark(points: Point[]): void {
    if (this.layout !== "stage") return;
    const attribute = this.#marks.geometry.getAttribute("position") as THREE.BufferAttribute;
    points.slice(0, 2).forEach((point, i) => attribute.setXYZ(i, ...point));
    attribute.needsUpdate = true;
    this.#marks.geometry.setDrawRange(0, Math.min(2, points.length));
    this.redraw();
  }

  clearMarks(): void {
    this.#marks.geometry.setDrawRange(0, 0);
    this.redraw();
  }

  close(): void {
    this.#closed = true;
    cancelAnimationFrame(this.#loop);
    for (const stop of this.#stops) stop();
    this.#watched.disconnect();
    this.#orbit.dispose();
    this.#slide.dispose();
    this.#scene.traverse((child) => {
      const one = child as Partial<THREE.Mesh>;
      one.geometry?.dispose();
      for (const material of [one.material].flat()) material?.dispose();
    });
    for (const material of this.#materials.values()) (material.uniforms.picture!.value as THREE.Texture).dispose();
    this.#renderer.dispose();
  }

  #resize(): void {
    const place = this.canvas.parentElement!;
    const [w, h] = [Math.max(1, place.clientWidth), Math.max(1, place.clientHeight)];
    this.#renderer.setPixelRatio(RATIOS[this.#level]!);
    this.#renderer.setSize(w, h, false);
    this.#eye.aspect = w / h;
    this.#eye.updateProjectionMatrix();
    if (this.layout !== "stage" || !this.#turned) this.fit(); // a view turned by hand stays where the hand left it
    this.#draw();
  }
}

/** Of a triangle: as it lies in the stage. */
function normalOf(at: Float32Array, triangle: number): Point {
  const [a, b, c] = [0, 1, 2].map((i) => new THREE.Vector3().fromArray(at, (triangle * 3 + i) * 3)) as [THREE.Vector3, THREE.Vector3, THREE.Vector3];
  const found = b.sub(a).cross(c.sub(a)).normalize();
  return [found.x, found.y, found.z];
}
