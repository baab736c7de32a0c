// Real clients that know nothing of a second factor, through the pages.
//
// Usage: sso_clients.mjs http://localhost:8008 PATH-OF-matrix-commander
//
// Myelin is one that stack.py runs. matrix-js-sdk in a page of its own origin
// signs in by `m.login.sso` and `m.login.token`, reads what the homeserver
// answers, deletes a device and replaces its cross-signing keys by the fallback
// page in a popup. matrix-commander signs in as it opens a browser for. Ends
// with how many claims held.

import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "esbuild";
import { PASSWORD, Person, check, login, post, run, send, serve, target } from "./pages.mjs";

const [commander] = process.argv.slice(3);
const here = (name) => join(import.meta.dirname, name);
const view = "desktop";

async function within(seconds, done) {
  for (let left = seconds * 10; left > 0 && !await done(); left -= 1) await sleep(100);
  return done();
}

// Passes both factors on the sign-in page, and agrees to where it leads.
async function passSignIn(person) {
  await person.send({ user: person.username, password: PASSWORD }, "Continue");
  await person.send({ code: await person.code() }, "Sign in");
  await person.says("Continue to this place?", "the client's address is asked about");
  await person.send({}, "Continue");
}

async function jsSdk(browser) {
  const bundle = await build({
    entryPoints: [here("web_client.mjs")],
    bundle: true, format: "esm", target: "es2022", write: false, logLevel: "error",
  });
  const client = await serve({
    "/client.js": ["text/javascript", bundle.outputFiles[0].contents],
    "": ["text/html", readFileSync(here("web_client.html"))],
  });
  const person = await (await Person.protected(view)).sitDown(browser);
  const { page, context } = person;
  const shown = (id) => page.locator(`#${id}`).innerText();
  const address = `http://localhost:${client.port}/?${new URLSearchParams({ homeserver: target })}`;
  await page.goto(address);
  await page.locator("#sign-in").click();
  await page.waitForURL(`${target}/**`);
  await passSignIn(person);
  await page.waitForURL(/loginToken=/);
  await within(10, async () => await shown("user") !== "");
  check(await shown("user") === person.userId, "js-sdk signs in by the page", await shown("trouble"));
  const device = await shown("device");

  await readAnswers(person);

  // A device that another login has made.
  const { session } = (await login(person.username, PASSWORD)).body;
  const auth = { type: "m.login.2fa.recovery", session, token: person.codes.pop() };
  const other = (await post("login", { auth })).body;
  await page.locator("#devices").fill(other.device_id);
  await page.locator("#delete").click();
  await passPopup(person, "sign out devices", other.device_id, async () =>
    person.send({ password: PASSWORD, code: await person.code() }, "Confirm"));
  await within(10, async () => await shown("deleted") !== "");
  const deleted = await shown("deleted");
  check(deleted === "m.login.sso", "js-sdk deletes a device by the popup",
    { deleted, trouble: await shown("trouble") });
  const gone = await send("GET", "account/whoami", undefined, other.access_token);
  check(gone.status === 401, "the device is gone", gone);

  // The first keys are set silently, as the specification says.
  await page.locator("#keys").click();
  await within(10, async () => await shown("uploaded") !== "");
  const first = await shown("uploaded");
  check(/^\S+$/.test(first), "js-sdk sets its first keys, and nobody is asked",
    { first, trouble: await shown("trouble") });
  await page.locator("#keys").click();
  await passPopup(person, "replace the keys that verify your devices", person.userId, () =>
    person.prove({ password: PASSWORD }, "Confirm"));
  await within(10, async () => await shown("uploaded") !== first);
  const uploaded = (await shown("uploaded")).split(" ");
  check(uploaded[0] === "m.login.sso" && uploaded.length === 2 && uploaded[1] !== first,
    "js-sdk replaces its keys by the popup", { uploaded, trouble: await shown("trouble") });
  check(context.pages().length === 3, "each popup is a window of its own");
  check(await shown("device") === device, "the page was never left");
  client.close();
  await person.getUp();
}

// What the homeserver behind Myelin answers is readable for a page of another origin.
async function readAnswers({ page, token }) {
  if (!process.env.SYNAPSE_URL) return;
  const upload = await fetch(`${target}/_matrix/media/v3/upload`, {
    method: "POST", headers: { authorization: `Bearer ${token}` }, body: "a picture",
  });
  const { content_uri: uri } = await upload.json();
  const media = `/_matrix/client/v1/media/download/${uri.slice("mxc://".length)}`;
  const paths = ["/_matrix/client/versions", "/_matrix/client/v3/sync?timeout=0", media];
  const origins = {};
  const note = async (response) => {
    const headers = await response.headersArray();
    const name = "access-control-allow-origin";
    origins[response.url()] = headers.filter((header) => header.name.toLowerCase() === name).length;
  };
  page.on("response", note);
  await page.locator("#paths").fill(paths.join(" "));
  await page.locator("#read").click();
  const answers = async () => (await page.locator("#answers").innerText()).split("\n");
  await within(10, async () => (await answers()).length === paths.length);
  page.off("response", note);
  const seen = await answers();
  const begins = ['200: {"versions":', '200: {"next_batch":', "200: a picture"];
  paths.forEach((path, at) => {
    check(seen[at]?.startsWith(begins[at]), `a page reads ${path}`, seen[at]);
    const origin = origins[target + path];
    check(origin === 1, `${path} names one origin`, origin ?? "no answer");
  });
}

// Presses the client's button, and passes both factors in the popup that opens.
async function passPopup(person, operation, subject, prove) {
  const { page } = person;
  const popup = page.waitForEvent("popup");
  await page.locator("#confirm").click();
  person.page = await popup;
  await person.says(operation, "the popup names the operation");
  await person.says(subject, "the popup names what it is about");
  await prove();
  await person.says("Return to your app", "the popup is done");
  person.page = page;
}

// The program opens a browser by `xdg-open` and listens on a port of its own.
async function matrixCommander(browser) {
  const person = await (await Person.protected(view)).sitDown(browser);
  const home = mkdtempSync(join(tmpdir(), "commander-"));
  const at = (name) => join(home, name);
  writeFileSync(at("xdg-open"), `#!/bin/sh\nprintf %s "$1" >'${at("part")}'\nmv '${at("part")}' '${at("url")}'\n`);
  chmodSync(at("xdg-open"), 0o755);
  const files = ["--credentials", at("credentials.json"), "--store", at("store")];
  const start = (args) => {
    const env = { ...process.env, HOME: home, PATH: home + delimiter + process.env.PATH };
    const program = spawn(commander, [...files, ...args], { env });
    program.said = "";
    for (const stream of [program.stdout, program.stderr]) {
      stream.on("data", (data) => { program.said += data; });
    }
    program.ended = new Promise((done) => program.on("close", done));
    return program;
  };
  const program = start(["--login", "sso", "--homeserver", target, "--device", "commander",
    "--room-default", "!none:synapse.test"]);
  try {
    const opened = await within(60, () => existsSync(at("url")));
    check(opened, "matrix-commander opens a browser", program.said);
    if (!opened) return;
    await person.page.goto(readFileSync(at("url"), "utf8"));
    await passSignIn(person);
    await person.page.getByText("Login complete").waitFor({ timeout: 10_000 }).catch(() => {});
    const seen = await person.page.locator("body").innerText();
    check(seen.includes("Login complete"), "the browser comes back to matrix-commander", seen);
    await Promise.race([program.ended, sleep(60_000)]);
    const made = existsSync(at("credentials.json")) && readFileSync(at("credentials.json"), "utf8");
    check(made && JSON.parse(made).user_id === person.userId,
      "matrix-commander is signed in", program.said);
    const who = start(["--whoami"]);
    await Promise.race([who.ended, sleep(60_000)]);
    check(who.said.includes(person.userId), "matrix-commander's token is good", who.said);
    who.kill();
  } finally {
    program.kill();
    rmSync(home, { recursive: true });
  }
  await person.getUp();
}

await run((browser) => Promise.all([jsSdk(browser), matrixCommander(browser)]));
