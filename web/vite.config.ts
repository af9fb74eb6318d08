// Builds the console into controller/console/app: the same bytes from the same sources, on any machine. Names are
// fixed (the service answers with ETags), so a change shows as one change of one file.
import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

const service = process.env.OPENVOLUME_SERVICE ?? "http://127.0.0.1:7400";

export default defineConfig({
  base: "/console/",
  plugins: [svelte()],
  // The service takes orders from its own page only (Origin).
  server: { proxy: { "/api": { target: service, ws: true, changeOrigin: true, headers: { origin: service } } } },
  build: {
    outDir: process.env.OPENVOLUME_CONSOLE_OUT ?? "../controller/console/app",
    emptyOutDir: true,
    target: "es2022",
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1200,
    rollupOptions: {
      output: {
        entryFileNames: "console.js",
        chunkFileNames: "[name].js",
        assetFileNames: (asset) => (asset.names[0]?.endsWith(".css") ? "console.css" : "[name][extname]"),
        manualChunks: (id) => {
          if (id.includes("node_modules/three/")) return "three";
          if (/node_modules\/(@codemirror|@lezer|@marijn|crelt|style-mod|w3c-keyname)\//.test(id)) return "editor";
          const page = /src\/pages\/(\w+)\//.exec(id);
          if (page?.[1] && !id.endsWith("/about.ts")) return `page-${page[1]}`;
          return id.includes("node_modules") || id.includes("/src/") ? "frame" : undefined;
        },
      },
    },
  },
});
