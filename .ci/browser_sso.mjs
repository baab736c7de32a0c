// Single sign-on of the homeserver's own, in a real Chromium.
//
// Usage: browser_sso.mjs http://localhost:8008 DIRECTORY-FOR-SCREENSHOTS
//
// Myelin is one before a Synapse with an identity provider, as sso.py runs it.
// Somebody without a password signs in, sets up an authenticator, signs in with
// its code, and confirms an operation in the popup that a client has opened.

import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { API, Person, check, post, run, scan, serve, sso } from "./pages.mjs";

// To the provider, and back.
async function signOn(person, username = person.username) {
  await person.follow("Continue with Example Corp");
  await person.page.locator("[name=sub]").first().fill(username);
  await person.page.getByRole("button", { name: "Authorize" }).click();
}

// What the client logs in with that the browser has been led to.
async function logIn(person, port) {
  await person.page.waitForURL(`http://127.0.0.1:${port}/**`);
  const token = new URL(person.page.url()).searchParams.get("loginToken");
  const { body } = await post("login", { type: "m.login.token", token });
  return body;
}

async function life(browser, view) {
  const username = `sso-${randomBytes(5).toString("hex")}`;
  const person = await new Person(view, { username }).sitDown(browser);
  const listens = "addEventListener('message', (e) => { window.said = e.data; });";
  const client = await serve({ "": ["text/html", `<script>${listens}</script>`] });
  const start = sso(`http://127.0.0.1:${client.port}/`);

  await person.go(start);
  await person.look("sso-sign-in");
  await signOn(person);
  await person.says(username, "the person is asked where to");
  await person.send({}, "Continue");
  const login = await logIn(person, client.port);
  check(login.user_id?.startsWith(`@${username}:`), `${view}: somebody new is logged in`, login);

  await person.go("/account");
  await signOn(person);
  await person.follow("Set up now");
  await person.look("sso-add");
  await signOn(person);
  await person.look("sso-add-signed-in");
  check(await person.page.locator("#password").count() === 0, `${view}: no password is asked for`);
  await person.send({ name: "Phone" }, "Continue");
  person.secret = await scan(person.page);
  await person.send({ code: await person.code() }, "Confirm");
  await person.page.locator("#saved").check();
  await person.send({}, "Continue");
  await person.says("10 of 10", "an authenticator is set up");

  await person.context.clearCookies();
  await person.go(start);
  await signOn(person);
  await person.says("Enter your code", "from then on a code is asked for");
  await person.send({ code: await person.code() }, "Sign in");
  await person.send({}, "Continue");
  const again = await logIn(person, client.port);
  check(again.user_id === login.user_id, `${view}: and logs in`, again);
  await confirm(person, login.access_token, again.device_id);
  client.close();
  await person.getUp();
}

async function confirm(person, token, device) {
  const { page: opener, view } = person;
  const operation = { devices: [device] };
  const { session } = (await post("delete_devices", operation, token)).body;
  const popup = opener.waitForEvent("popup");
  const url = `${API}/auth/m.login.sso/fallback/web?session=${session}`;
  await opener.evaluate((url) => { window.open(url); }, url);
  person.page = await popup;
  await person.page.waitForLoadState();
  await person.look("sso-fallback");
  await signOn(person, "somebody-else");
  await person.says("signed in as somebody else", "another account is told");
  await person.look("sso-fallback-other");
  await signOn(person);
  await person.send({ code: await person.code() }, "Sign in");
  await person.says("sign out devices", "the page names the operation");
  await person.says(device, "the page names the device");
  await person.look("sso-fallback-signed-in");
  await person.send({}, "Confirm");
  await person.says("Return to your app", "it says what is next");
  const said = await opener.evaluate("window.said");
  check(said === "authDone", `${view}: the client is told, past the provider's pages`, said);
  const done = await post("delete_devices", { ...operation, auth: { session } }, token);
  check(done.status === 200, `${view}: the client goes on`, done);
}

Person.shots = process.argv[3];
mkdirSync(Person.shots, { recursive: true });
await run(async (browser) => {
  for (const view of ["phone", "desktop"]) await life(browser, view);
});
