// What the suites in a real Chromium share: a person in front of a browser,
// with an authenticator app; a client's own small web server; the count of what
// held.
//
// The first argument of each suite is Myelin's address.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import axe from "axe-core";
import jsqr from "jsqr";
import { chromium } from "playwright-core";
import { PNG } from "pngjs";

export const target = process.argv[2];
export const API = `${target}/_matrix/client/v3`;
export const PASSWORD = "correct horse battery staple";
const PERIOD = 30;
// In bytes, for a page and everything that it loads.
const HEAVIEST = 30 * 1024;
// In minutes, for a whole suite.
const LONGEST = 10;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const VIEWS = {
  phone: { viewport: { width: 390, height: 844 } },
  desktop: { viewport: { width: 1280, height: 800 } },
  "no script": { viewport: { width: 390, height: 844 }, javaScriptEnabled: false },
};

let passed = 0;
let failed = 0;

export function check(holds, claim, seen = "") {
  if (holds) {
    passed += 1;
  } else {
    failed += 1;
    console.log(`FAILED: ${claim}: ${JSON.stringify(seen).slice(0, 600)}`);
  }
}

// Runs a suite in a browser of its own, says how many claims held, and ends.
export async function run(suite) {
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
  setTimeout(() => {
    const open = browser.contexts().flatMap((context) => context.pages()).map((page) => page.url());
    console.log(`not at its end after ${LONGEST} minutes: ${passed} passed, ${failed} failed, at`, open);
    process.exit(1);
  }, LONGEST * 60_000).unref();
  try {
    await suite(browser);
  } finally {
    await browser.close();
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed > 0 || passed === 0 ? 1 : 0);
}

export async function send(method, path, body, token) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(`${API}/${path}`, {
    method, headers, body: body && JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

export const post = (path, body, token) => send("POST", path, body, token);

export function login(user, password, more = {}) {
  const identifier = { type: "m.id.user", user };
  return post("login", { type: "m.login.password", identifier, password, ...more });
}

// The page that a client opens to have somebody signed in.
export function sso(redirectUrl) {
  return `/_matrix/client/v3/login/sso/redirect?${new URLSearchParams({ redirectUrl })}`;
}

// The secret in the QR code, read from the page as it is drawn.
export async function scan(page) {
  const png = PNG.sync.read(await page.locator("[role=img] svg").screenshot());
  const read = jsqr(new Uint8ClampedArray(png.data), png.width, png.height);
  return new URL(read.data).searchParams.get("secret");
}

// A login token logs in, once.
export async function worksOnce({ view, userId }, token) {
  const first = await post("login", { type: "m.login.token", token });
  check(first.body.user_id === userId, `${view}: the token logs in`, first);
  const second = await post("login", { type: "m.login.token", token });
  check(second.status === 403, `${view}: the token works once`, second);
}

// A web server of a client, on a loopback port; `answers` by path, "" for all others.
export async function serve(answers) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const [type, body] = answers[pathname] ?? answers[""];
    response.setHeader("content-type", type);
    response.end(body);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { port: server.address().port, close: () => server.close() };
}

// Somebody in front of a browser, with an authenticator app.
export class Person {
  // Where the pictures are kept.
  static shots = "";

  constructor(view, account) {
    Object.assign(this, { view, ...account });
    this.lastStep = 0;
    this.strangers = [];
  }

  // Somebody who has registered; `name` begins the user name.
  static async register(view, name = "page") {
    const username = `${name}-${randomBytes(5).toString("hex")}`;
    const asked = await post("register", { username, password: PASSWORD });
    const auth = { type: "m.login.dummy", session: asked.body.session };
    const { body } = await post("register", { username, password: PASSWORD, auth });
    const account = { username, userId: body.user_id, token: body.access_token };
    return new Person(view, { ...account, deviceId: body.device_id });
  }

  // Somebody who has set up an authenticator, in a client.
  static async protected(view) {
    const person = await Person.register(view);
    const { token, username } = person;
    const asked = await post("account/two-factor/totp", {}, token);
    const identifier = { type: "m.id.user", user: username };
    const auth = { type: "m.login.password", identifier, password: PASSWORD };
    auth.session = asked.body.session;
    const begun = await post("account/two-factor/totp", { auth }, token);
    person.secret = begun.body.secret;
    const confirm = `account/two-factor/totp/${begun.body.id}/confirm`;
    const done = await post(confirm, { token: await person.code() }, token);
    person.codes = done.body.recovery_codes;
    return person;
  }

  // Sits down at a browser in which nobody has been.
  async sitDown(browser, options = {}) {
    const still = { reducedMotion: "reduce" };
    this.context = await browser.newContext({ ...still, ...VIEWS[this.view], ...options });
    this.context.on("request", (request) => {
      if (request.isNavigationRequest() || !request.frame().url().startsWith(target)) return;
      if (!request.url().startsWith(target)) this.strangers.push(request.url());
    });
    this.context.on("console", (message) => {
      const text = message.text();
      // A page that does not let itself be framed is in order.
      if (/Content Security Policy/.test(text) && !/^Framing/.test(text)) this.strangers.push(text);
    });
    this.page = await this.context.newPage();
    return this;
  }

  async getUp() {
    const claim = `${this.view}: no page asks for anything of another origin, or against its policy`;
    check(this.strangers.length === 0, claim, this.strangers);
    await this.context.close();
  }

  // What the app shows, at a step that is accepted and later than the last.
  async code() {
    const step = () => Math.floor(Date.now() / 1000 / PERIOD);
    // Not in the last seconds of a step: it has to be typed, too.
    while (Math.max(this.lastStep + 1, step() - 1) > step() + 1 || (Date.now() / 1000) % 30 > 27) {
      await sleep(200);
    }
    this.lastStep = Math.max(this.lastStep + 1, step() - 1);
    const at = `@${this.lastStep * PERIOD}`;
    return execFileSync("oathtool", ["--totp", "-b", this.secret, "--now", at]).toString().trim();
  }

  async go(path) {
    return this.page.goto(target + path);
  }

  async follow(name) {
    await this.page.getByRole("link", { name }).first().click();
  }

  async send(fields, button) {
    for (const [id, value] of Object.entries(fields)) {
      await this.page.locator(`#${id}`).fill(value);
    }
    await this.page.getByRole("button", { name: button, exact: true }).click();
  }

  async signIn(start, code, recovery = false) {
    await this.go(start);
    await this.send({ user: this.username, password: PASSWORD }, "Continue");
    if (code === undefined) return;
    if (recovery) await this.follow("Use a recovery code");
    await this.send({ code }, "Sign in");
  }

  // Proves by a recovery code that a change is wanted.
  async prove(fields, button) {
    await this.follow("Use a recovery code");
    await this.send({ ...fields, code: this.codes.pop() }, button);
  }

  async text() {
    return this.page.locator("main").innerText();
  }

  async says(words, claim) {
    const seen = await this.text();
    check(seen.includes(words), `${this.view}: ${claim}`, seen);
  }

  // Keeps a picture of the page, and has it looked over.
  async look(name) {
    const { page, view } = this;
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      const path = `${Person.shots}/${view}-${name}-${colorScheme}.png`.replaceAll(" ", "-");
      await page.screenshot({ path, fullPage: true });
      if (view === "no script") continue;
      const found = await this.evaluate(`axe.run().then(({ violations }) => violations.map(
        ({ id, nodes }) => id + ": " + nodes.map((node) => node.target).join()))`, axe.source);
      check(found.length === 0, `${view}: axe finds nothing on ${name}, ${colorScheme}`, found);
    }
    await page.emulateMedia({ colorScheme: "light" });
    const wide = await this.evaluate("document.documentElement.scrollWidth > innerWidth");
    check(wide === false, `${view}: ${name} fits the screen`, wide);
    const parts = await this.evaluate(`["navigation", "resource"].flatMap((kind) =>
      performance.getEntriesByType(kind).map((part) => [part.name, part.decodedBodySize]))`);
    const icon = await page.locator("link[rel=icon]").getAttribute("href");
    parts.push([icon, (await (await fetch(target + icon)).text()).length]);
    const weight = parts.reduce((sum, [, size]) => sum + size, 0);
    const light = parts.length >= 3 && weight > 2048 && weight < HEAVIEST;
    check(light, `${view}: ${name} is under 30 KiB with all it loads`, { weight, parts });
  }

  // Evaluates in the page as the developer tools do: past its policy, and with
  // scripts switched off.
  async evaluate(expression, before = "") {
    const tools = await this.context.newCDPSession(this.page);
    await tools.send("Runtime.evaluate", { expression: before });
    const options = { expression, awaitPromise: true, returnByValue: true };
    const asked = tools.send("Runtime.evaluate", options);
    // A page that goes away answers nothing.
    const { result } = await Promise.race([asked, sleep(30_000, { result: {} })]);
    await tools.detach();
    return result.value;
  }
}
