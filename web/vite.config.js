import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig } from "vite";

const PAGE = "../armillary/serve/page";

/** Which sources the built page is of, so that a test can tell a page that was not built again. */
function seal() {
  return {
    name: "seal",
    closeBundle() {
      const sources = ["index.html", "package-lock.json", "tsconfig.json", "vite.config.js", ...listed("src"), ...listed("public")];
      const built = listed(PAGE).filter((name) => !name.endsWith("sources.json"));
      const digests = { sources: digestsOf(sources), built: digestsOf(built, `${PAGE}/`) };
      writeFileSync(join(PAGE, "sources.json"), JSON.stringify(digests, null, 2) + "\n");
    },
  };
}

function listed(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`);
}

function digestsOf(names, root = "") {
  const digest = (name) => createHash("sha256").update(readFileSync(name)).digest("hex");
  return Object.fromEntries(names.sort().map((name) => [name.slice(root.length), digest(name)]));
}

export default defineConfig({
  base: "/",
  build: {
    outDir: PAGE,
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { output: { entryFileNames: "assets/page.js", assetFileNames: "assets/[name][extname]" } },
  },
  plugins: [seal()],
});
