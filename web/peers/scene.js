// The benchmark's scene in three.js: the same meshes, materials, light, views and read-back as the other peers.
// Linear light goes into 8 bits a channel, without tone mapping or anti-aliasing.
import * as THREE from "three";

let renderer, scene, camera, target, poses, pixels;

async function array(path, Type) {
    return new Type(await (await fetch(path)).arrayBuffer());
}

export const commands = {
    async open(set) {
        renderer = new THREE.WebGLRenderer({antialias: false, alpha: false, powerPreference: "high-performance"});
        renderer.setPixelRatio(1);
        renderer.setSize(set.width, set.height, false);
        renderer.toneMapping = THREE.NoToneMapping;
        scene = new THREE.Scene();
        for (const body of set.bodies) {
            const geometry = new THREE.BufferGeometry();
            geometry.setAttribute("position", new THREE.BufferAttribute(await array(body.positions, Float32Array), 3));
            geometry.setAttribute("normal", new THREE.BufferAttribute(await array(body.normals, Float32Array), 3));
            const wide = body.wide ? Uint32Array : Uint16Array;
            geometry.setIndex(new THREE.BufferAttribute(await array(body.indices, wide), 1));
            const material = new THREE.MeshStandardMaterial({metalness: body.metallic, roughness: body.roughness});
            material.color.setRGB(...body.colour, THREE.LinearSRGBColorSpace);
            const mesh = new THREE.Mesh(geometry, material);
            mesh.matrixAutoUpdate = false;
            scene.add(mesh);
        }
        const sun = new THREE.DirectionalLight(0xffffff, set.sun);
        sun.position.set(...set.to_sun).multiplyScalar(100);
        scene.add(sun, sun.target);
        scene.add(new THREE.AmbientLight(0xffffff, set.ambient * Math.PI));
        camera = new THREE.PerspectiveCamera(set.fov_deg, set.width / set.height, set.near_m, set.far_m);
        camera.matrixAutoUpdate = false;
        poses = set.poses;
        target = new THREE.WebGLRenderTarget(set.width, set.height, {type: THREE.UnsignedByteType, samples: 0});
        pixels = new Uint8Array(4 * set.width * set.height);
        scene.updateMatrixWorld();
        const gl = renderer.getContext();
        const info = gl.getExtension("WEBGL_debug_renderer_info");
        return {
            version: "three.js r" + THREE.REVISION,
            renderer: gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER),
        };
    },
    draw(first, count) {
        const times = [];
        for (let view = first; view < first + count; ++view) {
            const begin = performance.now();
            draw(view % poses.length);
            times.push(performance.now() - begin);
        }
        return times;
    },
    picture(view) {
        draw(view);
        return pixels;
    },
};

function draw(view) {
    camera.matrix.fromArray(poses[view]).transpose();
    camera.matrixWorldNeedsUpdate = true;
    renderer.setRenderTarget(target);
    renderer.render(scene, camera);
    renderer.readRenderTargetPixels(target, 0, 0, target.width, target.height, pixels);
}
