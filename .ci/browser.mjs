// The pages in a real Chromium, as a person meets them.
//
// Usage: browser.mjs http://localhost:8008 DIRECTORY-FOR-SCREENSHOTS
//
// The whole life of a second factor on a phone, on a desktop, and with
// JavaScript switched off: set up by the QR code as it is drawn, sign in, a
// wrong code, a code that was used, recovery, new codes, removal; a fallback
// page in a popup of a page of another origin. Every page is looked over by
// axe-core, light and dark. Ends with how many claims held.

import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import axe from "axe-core";
import jsqr from "jsqr";
import { chromium } from "playwright-core";
import { PNG } from "pngjs";

const [target, shots] = process.argv.slice(2);
const API = `${target}/_matrix/client/v3`;
const PASSWORD = "correct horse battery staple";
const PERIOD = 30;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const VIEWS = {
  phone: { viewport: { width: 390, height: 844 } },
  desktop: { viewport: { width: 1280, height: 800 } },
  "no script": { viewport: { width: 390, height: 844 }, javaScriptEnabled: false },
};

let passed = 0;
let failed = 0;

function check(holds, claim, seen = "") {
  if (holds) {
    passed += 1;
  } else {
    failed += 1;
    console.log(`FAILED: ${claim}: ${JSON.stringify(seen).slice(0, 600)}`);
  }
}

async function post(path, body, token) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const response = await fetch(`${API}/${path}`, {
    method: "POST", headers, body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

async function register() {
  const username = `page-${randomBytes(5).toString("hex")}`;
  const auth = { type: "m.login.dummy" };
  const { body } = await post("register", { username, password: PASSWORD, auth });
  return { username, userId: body.user_id, token: body.access_token };
}

// A person in front of a browser, with an authenticator app.
class Person {
  constructor(page, view, account) {
    Object.assign(this, { page, view, ...account });
    // Each code works once, so each is of a later step than the last.
    this.steps = [-1, 0, 1];
  }

  code() {
    const at = Math.floor(Date.now() / 1000) + this.steps.shift() * PERIOD;
    return execFileSync("oathtool", ["--totp", "-b", this.secret, "--now", `@${at}`])
      .toString().trim();
  }

  async go(path) {
    await this.page.goto(target + path);
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

  async says(text, claim) {
    const seen = await this.page.locator("main").innerText();
    check(seen.includes(text), `${this.view}: ${claim}`, seen);
  }

  // Keeps a picture of the page, and has it looked over.
  async look(name) {
    const { page } = this;
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      const path = `${shots}/${this.view}-${name}-${colorScheme}.png`.replaceAll(" ", "-");
      await page.screenshot({ path, fullPage: true });
      if (this.view === "no script") continue;
      const found = await page.evaluate(async (source) => {
        const { violations } = await new Function(`${source}; return axe.run();`)();
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map((n) => n.target).join()}`);
      }, axe.source);
      check(found.length === 0, `${this.view}: axe finds nothing on ${name}, ${colorScheme}`, found);
    }
    await page.emulateMedia({ colorScheme: "light" });
    const wide = await page.evaluate("document.documentElement.scrollWidth > innerWidth")
      .catch(() => false);
    check(!wide, `${this.view}: ${name} fits the screen`);
  }

  async signIn(start, code, recovery = false) {
    await this.go(start);
    await this.send({ user: this.username, password: PASSWORD }, "Continue");
    if (code === undefined) return;
    if (recovery) await this.follow("Use a recovery code");
    await this.send({ code }, "Sign in");
  }
}

function sso(redirect) {
  const query = new URLSearchParams({ redirectUrl: redirect });
  return `/_matrix/client/v3/login/sso/redirect?${query}`;
}

// The secret in the QR code, read from the page as it is drawn.
async function scan(page) {
  const png = PNG.sync.read(await page.locator("[role=img] svg").screenshot());
  const read = jsqr(new Uint8ClampedArray(png.data), png.width, png.height);
  return new URL(read.data).searchParams.get("secret");
}

async function life(browser, view) {
  const context = await browser.newContext({ ...VIEWS[view], bypassCSP: true });
  const person = new Person(await context.newPage(), view, await register());
  const { page } = person;

  await person.go("/account");
  await person.look("sign-in");
  await person.send({ user: person.username, password: "wrong" }, "Continue");
  await person.says("not right", "a wrong password is told");
  await person.look("wrong-password");
  await person.signIn("/account");
  await person.says("Only your password protects this account", "it says that a factor is missing");
  await person.look("account-unprotected");

  await person.follow("Set up now");
  await person.look("add");
  await person.send({ name: "Phone", password: PASSWORD }, "Continue");
  await person.look("set-up");
  person.secret = await scan(page);
  if (view !== "no script") {
    await page.locator("summary").click();
    const text = (await page.locator("#secret").innerText()).replaceAll(/\s/g, "");
    check(text === person.secret, `${view}: the text is what the QR code says`, text);
  }
  await person.send({ code: person.code().replace(/^.../, "$& ") }, "Confirm");
  const codes = await page.locator("#recovery-codes li").allInnerTexts();
  check(codes.length === 10, `${view}: ten recovery codes are shown`, codes);
  await person.look("recovery-codes");
  await page.locator("#saved").check();
  await person.send({}, "Continue");
  await person.says("10 of 10", "the account page counts the codes");
  await person.look("account");

  await context.clearCookies();
  await person.signIn("/account", "000000");
  await person.says("did not work", "a wrong code is told");
  await person.says("UTC", "and that the clock may be why");
  await person.look("wrong-code");
  const used = person.code();
  await person.send({ code: used }, "Sign in");
  await person.says("Your account", "the next code signs in");
  await context.clearCookies();
  await person.signIn("/account", used);
  await person.says("did not work", "a code works once");
  await person.follow("Use a recovery code");
  await person.look("recovery");
  await person.send({ code: codes[0].toLowerCase() }, "Sign in");
  await person.says("9 of 10", "a recovery code signs in, and is spent");

  await person.follow("Make new recovery codes");
  await person.look("renew");
  await person.send({ code: person.code() }, "Make new codes");
  const fresh = await page.locator("#recovery-codes li").allInnerTexts();
  check(fresh.length === 10 && !fresh.includes(codes[1]), `${view}: the new codes are new`, fresh);
  await page.locator("#saved").check();
  await person.send({}, "Continue");

  await signInToClient(context, person, fresh);

  await context.clearCookies();
  await person.signIn("/account", fresh[1], true);
  await person.follow("Remove");
  await person.follow("Use a recovery code");
  await person.look("remove");
  await person.send({ code: fresh[2] }, "Remove");
  await person.says("Only your password protects this account", "the factor is gone");
  await context.close();
}

// A desktop client's loopback address: asked about, then led to with a token.
async function signInToClient(context, person, codes) {
  const client = createServer((_, response) => response.end("<h1>client</h1>"));
  await new Promise((done) => client.listen(0, "127.0.0.1", done));
  const address = `http://localhost:${client.address().port}/sso?keep=1&loginToken=evil`;
  await context.clearCookies();
  await person.signIn(sso(address), codes[0], true);
  await person.says("Full address", "it asks before it leads to a place that it does not know");
  await person.look("where-to");
  await person.send({}, "Continue");
  await person.page.waitForURL(/loginToken=/, { timeout: 10_000 }).catch(() => {});
  const landed = new URL(person.page.url());
  const tokens = landed.searchParams.getAll("loginToken");
  check(landed.searchParams.get("keep") === "1" && tokens.length === 1 && tokens[0] !== "evil",
    `${person.view}: the client gets its query and one token`, landed.href);
  const login = () => post("login", { type: "m.login.token", token: tokens[0] });
  const first = await login();
  check(first.body.user_id === person.userId, `${person.view}: the token logs in`, first);
  check((await login()).status === 403, `${person.view}: the token works once`);
  client.close();
}

// A client without the stages opens the fallback page, and goes on by itself.
async function fallback(browser) {
  const account = await register();
  const begun = await post("account/two-factor/totp", {
    auth: { type: "m.login.password", user: account.username, password: PASSWORD },
  }, account.token);
  const context = await browser.newContext(VIEWS.desktop);
  const page = await context.newPage();
  const person = new Person(page, "popup", { ...account, secret: begun.body.secret });
  const confirm = `account/two-factor/totp/${begun.body.id}/confirm`;
  await post(confirm, { token: person.code() }, account.token);
  const asked = await post("delete_devices", { devices: ["NOSUCH"] }, account.token);
  check(asked.body.flows[0].stages[0] === "m.login.sso", "m.login.sso is offered first", asked);

  const { session } = asked.body;
  const client = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<script>addEventListener('message', (e) => { window.said = e.data; });</script>");
  });
  await new Promise((done) => client.listen(0, "127.0.0.1", done));
  await page.goto(`http://127.0.0.1:${client.address().port}/`);
  const popup = page.waitForEvent("popup");
  const url = `${API}/auth/m.login.sso/fallback/web?session=${session}`;
  await page.evaluate((url) => { window.open(url); }, url);
  person.page = await popup;
  await person.page.waitForLoadState();
  await person.says("sign out devices", "the page names the operation");
  await person.says(account.userId, "the page names the account");
  await person.send({ password: PASSWORD, code: person.code() }, "Confirm");
  await page.waitForFunction("window.said === 'authDone'", null, { timeout: 10_000 })
    .then(() => check(true), () => check(false, "the page tells the client that it is done"));
  const again = { devices: ["NOSUCH"], auth: { session } };
  const done = await post("delete_devices", again, account.token);
  check(done.status === 200, "the client goes on with the session alone", done);
  const repeated = await post("delete_devices", again, account.token);
  check(repeated.status === 401, "and it executes once", repeated);
  client.close();
  await context.close();
}

mkdirSync(shots, { recursive: true });
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });
try {
  for (const view of Object.keys(VIEWS)) await life(browser, view);
  await fallback(browser);
} finally {
  await browser.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
