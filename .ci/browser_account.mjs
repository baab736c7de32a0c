// What else people do with their account: names, app passwords, devices; and
// what they confirm for a client.

import { API, PASSWORD, Person, check, login, post, send, serve, target } from "./pages.mjs";

// A homeserver without the module lets nobody in but by the account's password.
const mints = process.env.MYELIN_HOMESERVER_KIND !== "generic";

async function whoami(token) {
  return (await send("GET", "account/whoami", undefined, token)).status;
}

// Everything on the account page that the life has no need of.
export async function account(browser, view) {
  const person = await (await Person.protected(view)).sitDown(browser);
  await person.signIn("/account", await person.code());
  await person.follow("Rename");
  await person.follow("Use a recovery code");
  await person.look("rename");
  await person.send({ name: "Old phone", code: person.codes.pop() }, "Rename");
  await person.says("Old phone", "an authenticator is renamed");
  if (mints) {
    await appPassword(person);
  } else {
    const seen = await person.text();
    check(!seen.includes("App password"),
      `${view}: what this homeserver cannot do is not offered`, seen);
  }
  await devices(browser, person);
  await person.getUp();
}

async function appPassword(person) {
  const { page, view, userId } = person;
  await person.follow("Make an app password");
  await person.look("make-app-password");
  await person.prove({ name: "Weather bot" }, "Make it");
  const password = await page.locator("#app-password").innerText();
  // 5 bits a character.
  check(password.replaceAll(/[^a-z0-9]/gi, "").length * 5 >= 128,
    `${view}: an app password cannot be guessed`, password.length);
  await person.look("app-password");
  await person.follow("I have entered it");
  await person.says("Weather bot", "it is listed by its name");
  check(!(await page.content()).includes(password), `${view}: it is shown once`);
  const before = await person.text();
  check(before.includes("Never used."), `${view}: it has not been used`, before);
  const bot = await login(userId, password);
  check(bot.status === 200 && bot.body.user_id === userId, `${view}: it logs in alone`, bot);
  await page.reload();
  check(!(await person.text()).includes("Never used."), `${view}: its last use is shown`);
  await person.look("account-with-app-password");
  const devices = { devices: [bot.body.device_id] };
  const asked = await post("delete_devices", devices, bot.body.access_token);
  const identifier = { type: "m.id.user", user: userId };
  const auth = { type: "m.login.password", identifier, password, session: asked.body.session };
  const refused = await post("delete_devices", { ...devices, auth }, bot.body.access_token);
  check(refused.status === 401 && refused.body.errcode === "M_FORBIDDEN"
    && !refused.body.completed?.length, `${view}: it confirms no operation`, refused);
  const stranger = await person.context.browser().newContext();
  const elsewhere = await stranger.newPage();
  await elsewhere.goto(`${target}/account`);
  await elsewhere.locator("#user").fill(person.username);
  await elsewhere.locator("#password").fill(password);
  await elsewhere.getByRole("button").click();
  const said = await elsewhere.locator("main").innerText();
  check(said.includes("not right"), `${view}: it does not sign in to the account page`, said);
  await stranger.close();
  await page.getByRole("link", { name: "Remove: Weather bot" }).click();
  await person.follow("Use a recovery code");
  await person.look("remove-app-password");
  await person.send({ code: person.codes.pop() }, "Remove");
  check(!(await page.locator("ul.items").allInnerTexts()).join().includes("Weather bot"),
    `${view}: it is off the list`);
  const late = await login(userId, password);
  check(late.status === 403, `${view}: revoked, it logs nobody in`, late);
}

async function devices(browser, person) {
  const { view, token } = person;
  check(await whoami(token) === 200, `${view}: a device is signed in`);
  const elsewhere = await new Person(view, { ...person, strangers: [] }).sitDown(browser);
  await elsewhere.signIn("/account", person.codes.pop(), true);
  await elsewhere.says("Your account", "another browser is signed in to the page");
  await person.follow("Sign out all devices");
  await person.look("devices");
  if (!mints) {
    await person.send({ password: "wrong", code: await person.code() }, "Sign out all devices");
    await person.says("not right", "the homeserver is asked with the password, not by the code alone");
    await person.send({ password: PASSWORD, code: "000000" }, "Sign out all devices");
    await person.says("did not work", "nor by the password alone");
    check(await whoami(token) === 200, `${view}: and does nothing for one of them`);
  }
  await person.prove(mints ? {} : { password: PASSWORD }, "Sign out all devices");
  await person.says("Your account", "this page stays signed in");
  check(await whoami(token) === 401, `${view}: the devices are signed out`);
  await elsewhere.go("/account");
  await elsewhere.says("Sign in", "other browsers are signed out of the page");
  await elsewhere.getUp();
}

// A client without the stages opens the fallback page in a popup, and goes on.
export async function fallback(browser, view) {
  const person = await (await Person.protected(view)).sitDown(browser);
  const { userId, token } = person;
  const asked = await post("delete_devices", { devices: ["NOSUCH"] }, token);
  check(asked.body.flows[0].stages[0] === "m.login.sso", "m.login.sso is offered first", asked);
  const { session } = asked.body;
  const listens = "addEventListener('message', (e) => { window.said = e.data; });";
  const client = await serve({ "": ["text/html", `<script>${listens}</script>`] });
  const opener = person.page;
  await opener.goto(`http://127.0.0.1:${client.port}/`);
  const popup = opener.waitForEvent("popup");
  const url = `${API}/auth/m.login.sso/fallback/web?session=${session}`;
  await opener.evaluate((url) => { window.open(url); }, url);
  person.page = await popup;
  await person.page.waitForLoadState();
  await person.says("sign out devices", "the page names the operation");
  await person.says("NOSUCH", "the page names the device");
  await person.says(userId, "the page names the account");
  await person.look("fallback");
  await person.send({ password: "wrong", code: "000000" }, "Confirm");
  await person.says("not right", "a wrong password is told on the page");
  await person.look("fallback-wrong");
  await person.send({ password: PASSWORD, code: await person.code() }, "Confirm");
  await person.says("Return to your app", "it says what is next");
  await person.look("fallback-done");
  const said = await opener.evaluate("window.said");
  check(said === "authDone", `${view}: the page tells the client that it is done`, said);
  const again = { devices: ["NOSUCH"], auth: { session } };
  const done = await post("delete_devices", again, token);
  check(done.status === 200, `${view}: the client goes on with the session alone`, done);
  const repeated = await post("delete_devices", again, token);
  check(repeated.status === 401, `${view}: and it executes once`, repeated);
  client.close();
  await stages(person);
  await person.getUp();
}

// The pages of the two stages, for a client that has sent the password itself.
async function stages(person) {
  const login1 = () => login(person.userId, PASSWORD);
  for (const [stage, name, code] of [
    ["m.login.2fa.totp", "code", () => person.code()],
    ["m.login.2fa.recovery", "recovery", async () => person.codes.pop()],
  ]) {
    const { session } = (await login1()).body;
    await person.go(`/_matrix/client/v3/auth/${stage}/fallback/web?session=${session}`);
    await person.says("sign in", `the page of ${stage} names the operation`);
    await person.look(`fallback-${name}`);
    await person.send({ code: await code() }, "Confirm");
    await person.says("Return to your app", `the page of ${stage} takes its code`);
    const done = await post("login", { auth: { session } });
    check(done.body.user_id === person.userId, `${person.view}: ${stage} logs in`, done);
  }
}
