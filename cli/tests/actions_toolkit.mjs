// Calls this program as docker's GitHub actions do, through their library, by hand: npm install @docker/actions-toolkit, then
//   wythe install-docker-plugin; node actions_toolkit.mjs WYTHE BASE.layout HOST:PORT
// BASE is a layout with a busybox image, HOST:PORT a registry that may be written to. Prints a line for each claim.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [wythe, base, registry] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), "toolkit-"));
Object.assign(process.env, { RUNNER_TEMP: work, GITHUB_REPOSITORY: "team/app", GITHUB_SERVER_URL: "https://github.com", GITHUB_RUN_ID: "1" });
const library = (name) => import(pathToFileURL(resolve("node_modules/@docker/actions-toolkit/lib", name)).href);
const { Toolkit } = await library("toolkit.js");
const { Buildx } = await library("buildx/buildx.js");
const { History } = await library("buildx/history.js");
const { ImageTools } = await library("buildx/imagetools.js");
const toolkit = new Toolkit();
const context = join(work, "context");
mkdirSync(context);
writeFileSync(join(context, "Dockerfile"), "from base as own\nARG WHO\nRUN echo step of $WHO > /who\n");

async function run(what, check) {
  await check();
  console.log(`ok ${what}`);
}
async function called(args) {
  const { command, args: all } = await toolkit.buildx.getCommand(args);
  return execFileSync(command, all, { cwd: work, stdio: ["ignore", "pipe", "inherit"] }).toString();
}

await run("it is there, and of a version", async () => {
  assert(await toolkit.buildx.isAvailable());
  await toolkit.buildx.printVersion();
  assert(await toolkit.buildx.versionSatisfies(">=0.17.0"));
});
await run("builders are created and inspected", async () => {
  await called(["create", "--name", "of-action", "--driver", "docker-container", "--buildkitd-flags", "--allow-insecure-entitlement security.insecure", "--use"]);
  assert(await toolkit.builder.exists("of-action"));
  await called(["inspect", "--bootstrap", "--builder", "of-action"]);
  const builder = await toolkit.builder.inspect("of-action");
  assert.equal(builder.name, "of-action");
  assert.equal(builder.driver, "docker-container");
  assert.equal(builder.nodes[0].status, "running");
  assert(builder.nodes[0].platforms.includes("linux/"));
});
const build = toolkit.buildxBuild;
const name = `${registry}/toolkit/app:1`;
await run("a build is pushed, and told of in files", async () => {
  process.env.BUILDX_METADATA_WARNINGS = "1";
  await called(["build", "--iidfile", build.getImageIDFilePath(), "--build-context", `base=oci-layout://${resolve(base)}`, "--build-arg", "WHO=action",
    "--metadata-file", build.getMetadataFilePath(), "--provenance", "mode=max", "--tag", name, "--push", "--builder", "of-action", context]);
  const metadata = build.resolveMetadata();
  assert.match(build.resolveImageID(), /^sha256:/);
  assert.equal(build.resolveDigest(metadata), metadata["containerimage.digest"]);
  assert.match(build.resolveRef(metadata), /^[^/]+\/[^/]+\/[^/]+$/);
  assert(build.resolveProvenance(metadata));
  const warnings = build.resolveWarnings(metadata);
  assert(warnings?.length > 0, "the Dockerfile has words in two cases");
  const annotations = await Buildx.convertWarningsToGitHubAnnotations(warnings, [build.resolveRef(metadata)]);
  assert(annotations === undefined || Array.isArray(annotations));
});
const tools = new ImageTools({ buildx: toolkit.buildx });
await run("what was pushed is inspected", async () => {
  const manifest = await tools.inspectManifest({ name });
  assert.match(manifest.digest ?? manifest.manifests[0].digest, /^sha256:/);
  const image = await tools.inspectImage({ name });
  assert(image.config ?? Object.values(image)[0].config);
  assert((await tools.attestationDescriptors({ name })).length > 0);
  const made = await tools.create({ sources: [name], tags: [`${registry}/toolkit/app:2`] });
  assert.match(made.digest, /^sha256:/);
});
await run("a definition is read, and baked", async () => {
  writeFileSync(join(work, "docker-bake.hcl"), `
    variable "WHO" { default = "bake" }
    group "default" { targets = ["app"] }
    target "app" {
      context = "context"
      contexts = { base = "oci-layout://${resolve(base)}" }
      args = { WHO = WHO }
      tags = ["${registry}/toolkit/baked:1"]
    }
  `);
  const definition = await toolkit.buildxBake.getDefinition({ files: ["docker-bake.hcl"], overrides: ["*.labels.a=b"], provenance: "mode=min" }, { cwd: work });
  assert.deepEqual(Object.keys(definition.target), ["app"]);
  assert.equal(definition.target.app.labels.a, "b");
  await called(["bake", "--file", "docker-bake.hcl", "--metadata-file", toolkit.buildxBake.getMetadataFilePath(), "--push"]);
  const metadata = toolkit.buildxBake.resolveMetadata();
  assert.match(metadata.app["containerimage.digest"], /^sha256:/);
  assert.equal(toolkit.buildxBake.resolveRefs(metadata).length, 1);
});
await run("past builds are inspected", async () => {
  const ref = build.resolveRef(build.resolveMetadata());
  const told = await new History({ buildx: toolkit.buildx }).inspect({ ref });
  assert.equal(told.Status, "completed");
});
await run("builders are removed", () => called(["rm", "of-action"]));
console.log(`all well with ${execFileSync(wythe, ["--version"])}`.trim());
