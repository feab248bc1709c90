// Looks at pages of --timings in Chromium, by hand: npm install axe-core puppeteer-core, then
//   node timings_in_a_browser.mjs DIR PAGE.html…
// For each page, light and dark and narrow: axe finds nothing, nothing is asked of the network, no script of the page
// runs, every link is reached with the tabulator; pictures go to DIR. CHROMIUM names the browser.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [directory, ...pages] = process.argv.slice(2);
const require = createRequire(resolve("package.json"));
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--force-color-profile=srgb"],
});
let failures = 0;
const check = (what, found) => {
  if (found.length > 0) failures += 1;
  console.log(`${found.length > 0 ? "FAILED" : "ok"} ${what}${found.length > 0 ? ": " + JSON.stringify(found, null, 1) : ""}`);
};
for (const path of pages) {
  for (const [look, scheme, width] of [["light", "light", 1280], ["dark", "dark", 1280], ["narrow", "light", 400]]) {
    const name = `${basename(path, ".html")}-${look}`;
    const page = await browser.newPage();
    const asked = [], ran = [];
    page.on("request", (request) => { if (!request.url().startsWith("file:")) asked.push(request.url()); });
    page.on("dialog", (dialog) => { ran.push(dialog.message()); dialog.dismiss(); });
    page.on("pageerror", (error) => ran.push(String(error)));
    page.on("console", (message) => ran.push(message.text()));
    await page.setViewport({ width, height: 900 });
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.goto(pathToFileURL(resolve(path)).href);
    check(`${name}: no request leaves`, asked);
    check(`${name}: no script runs`, ran.concat(await page.$$eval("script", (all) => all.map((one) => one.outerHTML))));
    await page.evaluate(axe);
    await page.evaluate(() => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
    const result = await page.evaluate(() => axe.run(document, { resultTypes: ["violations", "incomplete"] }));
    const brief = (all) => all.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.slice(0, 3).map((node) => node.html.slice(0, 200)), count: nodes.length }));
    check(`${name}: axe finds nothing`, brief(result.violations));
    const open = result.incomplete.filter(({ id }) => id !== "color-contrast");
    check(`${name}: axe leaves nothing open but contrast`, brief(open));
    console.log(`   ${result.passes?.length ?? 0} rules hold; contrast to be looked at: ${result.incomplete.length - open.length}`);
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    check(`${name}: the page itself does not scroll sideways`, beyond > 0 ? [beyond] : []);
    if (look === "light") {
      const links = await page.$$eval("a[href]", (all) => all.length);
      const reached = new Set();
      await page.evaluate(() => { window.scrollTo(0, 0); document.activeElement?.blur(); });
      for (let at = 0; at < links + 200; at += 1) {
        await page.keyboard.press("Tab");
        const here = await page.evaluate(() => {
          const all = [...document.querySelectorAll("a[href]")];
          return all.indexOf(document.activeElement);
        });
        if (here >= 0) reached.add(here);
        if (reached.size === links) break;
      }
      check(`${name}: every link is reached by keyboard`, reached.size === links ? [] : [`${reached.size} of ${links}`]);
    }
    await page.screenshot({ path: `${directory}/${name}.png`, fullPage: false });
    await page.screenshot({ path: `${directory}/${name}-full.png`, fullPage: true });
    await page.close();
  }
}
await browser.close();
console.log(failures === 0 ? "all well" : `${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
