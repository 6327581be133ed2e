import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

export const BUNDLE = "../src/twinspeak/web/bundle";

/** Packs what is worth it beside each file, so that the server never has to. */
export function packed(): Plugin {
  return {
    name: "packed",
    apply: "build",
    closeBundle() {
      const pending = [BUNDLE];
      for (const folder of pending) {
        for (const name of readdirSync(folder)) {
          const path = join(folder, name);
          if (statSync(path).isDirectory()) pending.push(path);
          else if (/\.(js|css|html|svg)$/.test(name))
            writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
        }
      }
    },
  };
}

/** Every browser that runs this page reads WOFF2. */
function oneFontFormat(): Plugin {
  return {
    name: "one-font-format",
    enforce: "pre",
    transform: (code, id) =>
      /katex.*\.css$/.test(id) ? code.replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\([^)]*\)/g, "") : null,
  };
}

export default defineConfig({
  plugins: [react(), oneFontFormat(), packed()],
  build: {
    outDir: BUNDLE,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    // A data: URL would be code that the page's policy cannot tell from an attacker's.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    manifest: false,
  },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/socket.io": { target: "http://127.0.0.1:8080", ws: true } } },
});
