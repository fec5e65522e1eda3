import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestProjectInlineConfiguration, type ViteUserConfig } from "vitest/config";
import { chromium, flags, isolation } from "./test/browser/chromium.ts";

/** Tests that run inside a page. */
const inPage = (name: string, headers: Record<string, string>): TestProjectInlineConfiguration => ({
  server: { headers },
  test: {
    name,
    include: [`test/browser/${name}.page.ts`],
    setupFiles: ["test/property-seed.ts"],
    testTimeout: 60_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: { executablePath: chromium, args: flags } }),
      instances: [{ browser: "chromium" }],
    },
  },
});

/** `npm run browser`: the library in Chromium, from its sources and as it is built. */
const config: ViteUserConfig = defineConfig({
  test: {
    projects: [
      inPage("isolated", isolation),
      inPage("plain", {}),
      {
        test: { name: "built", include: ["test/browser/built.ts"], testTimeout: 60_000, hookTimeout: 60_000 },
      },
    ],
  },
});

export default config;
