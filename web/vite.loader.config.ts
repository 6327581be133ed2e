/** The script that other sites load: one file of its own, with nothing of the page in it. */

import { defineConfig } from "vite";
import { BUNDLE, packed } from "./vite.config.ts";

export default defineConfig({
  plugins: [packed()],
  publicDir: false,
  build: {
    outDir: BUNDLE,
    emptyOutDir: false,
    target: "es2020",
    lib: { entry: "src/loader/main.ts", formats: ["iife"], name: "twinspeakLoader", fileName: () => "twinspeak.js" },
    reportCompressedSize: false,
  },
});
