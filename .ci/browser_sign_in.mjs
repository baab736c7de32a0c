// What else people meet where they sign in: apps, waits, a policy, another
// language, dead ends, a keyboard and nothing more.

import { setTimeout as sleep } from "node:timers/promises";
import { PASSWORD, Person, check, login, scan, sso, target, worksOnce } from "./pages.mjs";

// An app's own scheme: the browser is sent there, and there is a link as well.
export async function signInToApp(browser, view) {
  const person = await (await Person.protected(view)).sitDown(browser);
  const tools = await person.context.newCDPSession(person.page);
  await tools.send("Page.enable");
  const led = new Promise((done) => {
    tools.on("Page.frameRequestedNavigation", ({ url }) => url.startsWith("element:") && done(url));
  });
  await person.signIn(sso("element://connect?keep=1"), await person.code());
  await person.says("App on this device", "an app is asked about as an app");
  await person.look("where-to-app");
  await person.send({}, "Continue");
  await person.says("You are signed in", "it says that it is done");
  await person.look("back-to-app");
  const link = await person.page.locator("#continue").getAttribute("href");
  const sent = await Promise.race([led, sleep(10_000)]);
  check(sent === link, `${view}: the browser is sent to the app`, { sent, link });
  const { protocol, host, searchParams } = new URL(link);
  check(protocol === "element:" && host === "connect" && searchParams.get("keep") === "1",
    `${view}: the app gets its query`, link);
  await worksOnce(person, searchParams.get("loginToken"));
  await person.getUp();
}

// Whoever guesses has to wait, whatever comes next; the recovery codes still work.
export async function locked(browser, view) {
  const person = await (await Person.protected(view)).sitDown(browser);
  await person.signIn("/account");
  for (let guess = 0; guess < 5; guess += 1) await person.send({ code: "000000" }, "Sign in");
  await person.says("Too many wrong tries", "guessing ends in a wait");
  await person.says("before the next one", "and it says how long");
  await person.look("locked");
  await person.send({ code: await person.code() }, "Sign in");
  await person.says("Too many wrong tries", "in a wait the right code is no better");
  await person.follow("Use a recovery code");
  await person.send({ code: person.codes.pop() }, "Sign in");
  await person.says("Your account", "a recovery code lets in while codes have to wait");
  await person.says("Too many wrong codes: a wait began", "and the account page tells of it");
  await person.look("account-after-guesses");
  await person.getUp();
}

// The policy wants a second factor of everyone whose name begins so.
export async function forced(browser, view) {
  const person = await (await Person.register(view, "forced")).sitDown(browser);
  const native = await login(person.username, PASSWORD);
  check(native.status === 403 && native.body.error.includes(target),
    `${view}: a client is told where to set it up`, native);
  await person.signIn(sso("element://connect"));
  await person.says("This server asks for a second step", "it says why");
  await person.look("forced");
  await person.send({}, "Set up now");
  await person.look("forced-set-up");
  await person.send({ code: "000000" }, "Confirm");
  await person.says("did not work", "a wrong first code is told");
  await person.look("forced-wrong-code");
  await person.send({}, "Show a new picture");
  person.secret = await scan(person.page);
  await person.send({ code: await person.code() }, "Confirm");
  const codes = await person.page.locator("#recovery-codes li").allInnerTexts();
  check(codes.length === 10, `${view}: whoever is made to gets recovery codes too`, codes);
  await person.look("forced-recovery-codes");
  await person.page.locator("#saved").check();
  await person.send({}, "Continue");
  await person.send({}, "Continue");
  const link = await person.page.locator("#continue").getAttribute("href");
  await worksOnce(person, new URL(link).searchParams.get("loginToken"));
  const again = await login(person.username, PASSWORD);
  check(again.status === 401 && !again.body.access_token, `${view}: then it is asked for`, again);
  const exempt = await Person.register(view, "forced-exempt");
  const free = await login(exempt.username, PASSWORD);
  check(free.status === 200, `${view}: nobody is made to who is exempt`, free);
  await person.getUp();
}

// German, because the browser prefers it, or because the client says so.
export async function german(browser, view) {
  const person = await (await Person.protected(view)).sitDown(browser, { locale: "de-AT" });
  const { page } = person;
  await person.go("/account");
  await person.says("Anmelden", "the browser's language is spoken");
  check(await page.locator("html").getAttribute("lang") === "de", `${view}: and said to be`);
  await person.look("german-sign-in");
  await person.send({ user: person.username, password: PASSWORD }, "Weiter");
  await person.send({ code: "000000" }, "Anmelden");
  await person.says("Dieser Code gilt nicht", "errors are in German as well");
  await person.look("german-wrong-code");
  await person.send({ code: await person.code() }, "Anmelden");
  await person.look("german-account");
  await person.follow("Neue Wiederherstellungscodes erstellen");
  await person.look("german-renew");
  await person.send({ code: await person.code() }, "Neue Codes erstellen");
  await person.look("german-recovery-codes");
  await person.getUp();
  const other = await (await Person.protected(view)).sitDown(browser, { locale: "en-GB" });
  await other.go(`${sso("element://connect")}&ui_locales=de`);
  await other.send({ user: other.username, password: PASSWORD }, "Weiter");
  await other.says("Code eingeben", "the language that the client asks for stays");
  await other.send({ code: await other.code() }, "Anmelden");
  await other.says("Hierhin weitergehen?", "to the end");
  await other.look("german-where-to");
  await other.getUp();
}

// Where there is no way on, the page says what to do.
export async function deadEnds(browser, view) {
  const person = await (await Person.register(view)).sitDown(browser);
  for (const [name, path, words] of [
    ["bad-target", sso("javascript:alert(1)"), "cannot be used"],
    ["no-target", "/_matrix/static/client/login/", "Open your Matrix app"],
    ["over", "/_matrix/client/v3/auth/m.login.sso/fallback/web?session=x", "This has ended"],
  ]) {
    await person.go(path);
    await person.says(words, `${name}: it says what to do`);
    await person.look(name);
  }
  await person.getUp();
}

// Neither a mouse nor a click: what is needed has the focus, or is next.
export async function keyboard(browser, view) {
  const person = await (await Person.protected(view)).sitDown(browser);
  const { keyboard } = person.page;
  const ready = (id) => person.page.locator(`#${id}:focus`).waitFor({ timeout: 10_000 })
    .catch(() => check(false, `${view}: ${id} has the focus`));
  await person.go("/account");
  await ready("user");
  await keyboard.type(person.username);
  await keyboard.press("Tab");
  await ready("password");
  await keyboard.type(PASSWORD);
  await keyboard.press("Enter");
  await ready("code");
  await keyboard.type(await person.code());
  await keyboard.press("Enter");
  await person.page.getByText("Your account").waitFor({ timeout: 10_000 }).catch(() => {});
  await person.says("Authenticators", "the keyboard is enough to sign in");
  await person.getUp();
}
