// Pictures of glTF assets under a dome in three.js, for comparison with OpenVolume's: linear light in half floats,
// no tone curve, no anti-aliasing, working space Rec.709. The camera comes as two transforms.
import * as THREE from "three";
import {GLTFLoader} from "three/addons/loaders/GLTFLoader.js";

let renderer, dome;
const assets = new Map();

export const commands = {
    // `light` names raw float32 RGBA, width x height, row 0 the nadir.
    async open(set) {
        THREE.ColorManagement.enabled = true;
        renderer = new THREE.WebGLRenderer({antialias: false});
        renderer.toneMapping = THREE.NoToneMapping;
        renderer.debug.checkShaderErrors = true;
        const pixels = new Float32Array(await (await fetch(set.light)).arrayBuffer());
        const half = new Uint16Array(pixels.length);
        for (let i = 0; i < pixels.length; ++i) half[i] = THREE.DataUtils.toHalfFloat(pixels[i]);
        const picture = new THREE.DataTexture(half, set.width, set.height, THREE.RGBAFormat, THREE.HalfFloatType);
        picture.mapping = THREE.EquirectangularReflectionMapping;
        picture.minFilter = picture.magFilter = THREE.LinearFilter;
        picture.wrapS = THREE.RepeatWrapping;
        picture.colorSpace = THREE.LinearSRGBColorSpace;
        picture.needsUpdate = true;
        dome = new THREE.PMREMGenerator(renderer).fromEquirectangular(picture).texture;
        return "three.js r" + THREE.REVISION;
    },
    // The asset at `url` at `time_s` of its first animation: half floats, RGBA, row 0 the bottom; alpha 0: nothing.
    async picture(set) {
        if (!assets.has(set.url)) assets.set(set.url, await new GLTFLoader().loadAsync(set.url));
        const asset = assets.get(set.url);
        const scene = new THREE.Scene();
        scene.environment = dome;
        scene.add(asset.scene);
        if (asset.animations.length) {
            const mixer = new THREE.AnimationMixer(asset.scene);
            mixer.clipAction(asset.animations[0]).play();
            mixer.setTime(set.time_s);
        }
        if (set.sun) {
            const sun = new THREE.DirectionalLight(0xffffff, 1);
            sun.color.setRGB(...set.sun.illuminance);
            sun.position.set(...set.sun.to_sun).multiplyScalar(100);
            scene.add(sun, sun.target);
        }
        scene.updateMatrixWorld(true);
        const camera = new THREE.PerspectiveCamera();
        camera.matrixAutoUpdate = camera.matrixWorldAutoUpdate = false;
        camera.matrixWorld.fromArray(set.world_from_camera).transpose();
        camera.matrixWorldInverse.copy(camera.matrixWorld).invert();
        camera.projectionMatrix.fromArray(set.clip_from_camera).transpose();
        camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
        const target = new THREE.WebGLRenderTarget(set.width, set.height, {type: THREE.HalfFloatType, samples: 0});
        renderer.setClearColor(0x000000, 0.0);
        renderer.setRenderTarget(target);
        renderer.clear();
        renderer.render(scene, camera);
        const out = new Uint16Array(4 * set.width * set.height);
        renderer.readRenderTargetPixels(target, 0, 0, set.width, set.height, out);
        renderer.setRenderTarget(null);
        target.dispose();
        return out;
    },
};
